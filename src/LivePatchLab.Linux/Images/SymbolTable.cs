using System.Diagnostics.CodeAnalysis;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The symbols of one image, ordered by address; names are looked up both ways.</summary>
public sealed class SymbolTable
{
    private readonly KernelSymbol[] _symbols;
    private readonly IReadOnlyList<ElfSegment> _segments;
    private readonly Lazy<Dictionary<string, GuestAddress>> _byName;

    internal SymbolTable(KernelSymbol[] symbols, IReadOnlyList<ElfSegment> segments)
    {
        // kallsyms come sorted, .symtab does not. The sort is stable: of several names for one address the first is the one that is
        // shown, as get_symbol_pos of kernel/kallsyms.c does.
        for (var i = 1; i < symbols.Length; i++)
        {
            if (symbols[i - 1].Address <= symbols[i].Address) continue;
            symbols = [.. symbols.OrderBy(symbol => symbol.Address)];
            break;
        }

        _symbols = symbols;
        _segments = segments;
        _byName = new(() =>
        {
            var byName = new Dictionary<string, GuestAddress>(_symbols.Length, StringComparer.Ordinal);
            foreach (var symbol in _symbols) byName.TryAdd(symbol.Name, symbol.Address);
            return byName;
        });
    }

    public int Count => _symbols.Length;

    public IReadOnlyList<KernelSymbol> All => _symbols;

    /// <summary>The address of a name; of several symbols with this name, the lowest.</summary>
    public bool TryFind(string name, out GuestAddress address) => _byName.Value.TryGetValue(name, out address);

    /// <summary>The address of a name, null where no symbol has it.</summary>
    public GuestAddress? this[string name] => TryFind(name, out var address) ? address : null;

    /// <summary>True when some symbol has exactly this address.</summary>
    public bool HasSymbolAt(GuestAddress address)
    {
        var index = LastAtOrBelow(address);
        return index >= 0 && _symbols[index].Address == address;
    }

    /// <summary>The symbol whose extent has this address: the nearest one at or below it, in the same segment of the image.</summary>
    public bool TryFindCovering(GuestAddress address, [NotNullWhen(true)] out KernelSymbol? covering)
    {
        covering = null;
        var index = LastAtOrBelow(address);
        if (index < 0) return false;
        while (index > 0 && _symbols[index - 1].Address == _symbols[index].Address) index--;
        var symbol = _symbols[index];
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
        return index < _symbols.Length ? _symbols[index].Address : null;
    }

    private int LastAtOrBelow(GuestAddress address)
    {
        int low = 0, high = _symbols.Length;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (_symbols[middle].Address <= address) low = middle + 1;
            else high = middle;
        }

        return low - 1;
    }
}
