using System.Diagnostics.CodeAnalysis;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The symbols of one image, ordered by address; names are looked up both ways.</summary>
public sealed class SymbolTable
{
    private readonly Lazy<KernelSymbol[]> _sorted;
    private readonly IReadOnlyList<ElfSegment> _segments;
    private readonly Lazy<Dictionary<string, GuestAddress>> _byName;

    internal SymbolTable(KernelSymbol[] symbols, IReadOnlyList<ElfSegment> segments)
    {
        // A program that runs to its end never asks for a name.
        _sorted = new(() => Sorted(symbols));
        _segments = segments;
        _byName = new(() =>
        {
            var byName = new Dictionary<string, GuestAddress>(Symbols.Length, StringComparer.Ordinal);
            foreach (var symbol in Symbols) byName.TryAdd(symbol.Name, symbol.Address);
            return byName;
        });
    }

    private KernelSymbol[] Symbols => _sorted.Value;

    public int Count => Symbols.Length;

    public IReadOnlyList<KernelSymbol> All => Symbols;

    /// <summary>The address of a name; of several symbols with this name, the lowest.</summary>
    public bool TryFind(string name, out GuestAddress address) => _byName.Value.TryGetValue(name, out address);

    /// <summary>The address of a name, null where no symbol has it.</summary>
    public GuestAddress? this[string name] => TryFind(name, out var address) ? address : null;

    /// <summary>True when some symbol has exactly this address.</summary>
    public bool HasSymbolAt(GuestAddress address)
    {
        var index = LastAtOrBelow(address);
        return index >= 0 && Symbols[index].Address == address;
    }

    /// <summary>The symbol whose extent has this address: the nearest one at or below it, in the same segment of the image.</summary>
    public bool TryFindCovering(GuestAddress address, [NotNullWhen(true)] out KernelSymbol? covering)
    {
        covering = null;
        var index = LastAtOrBelow(address);
        if (index < 0) return false;
        while (index > 0 && Symbols[index - 1].Address == Symbols[index].Address) index--;
        var symbol = Symbols[index];
        foreach (var segment in _segments)
        {
            if (!segment.Contains(address)) continue;
            if (symbol.Address < segment.Address) return false;
            covering = symbol;
            return true;
        }

        return false;
    }

    /// <summary>"name" or "name+0x12", as %pS prints it; the bare number where no symbol covers the address.</summary>
    public string NameOf(GuestAddress address)
    {
        if (!TryFindCovering(address, out var symbol)) return $"0x{address}";
        var offset = address - symbol.Value.Address;
        return offset == 0 ? symbol.Value.Name : $"{symbol.Value.Name}+0x{offset:x}";
    }

    /// <summary>The address of the first symbol above this one, null after the last.</summary>
    public GuestAddress? NextAfter(GuestAddress address)
    {
        var index = LastAtOrBelow(address) + 1;
        return index < Symbols.Length ? Symbols[index].Address : null;
    }

    /// <summary>
    /// kallsyms come sorted, .symtab does not. The sort is stable: of several names for one address the first is the one that is
    /// shown, as get_symbol_pos of kernel/kallsyms.c does.
    /// </summary>
    private static KernelSymbol[] Sorted(KernelSymbol[] symbols)
    {
        for (var i = 1; i < symbols.Length; i++)
            if (symbols[i - 1].Address > symbols[i].Address) return [.. symbols.OrderBy(symbol => symbol.Address)];
        return symbols;
    }

    private int LastAtOrBelow(GuestAddress address)
    {
        int low = 0, high = Symbols.Length;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (Symbols[middle].Address <= address) low = middle + 1;
            else high = middle;
        }

        return low - 1;
    }
}
