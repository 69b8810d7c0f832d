using System.Globalization;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>The names of a kernel text: the image's own symbols, or, in a text that the lab has made, function_0 and so on; and ftrace_caller.</summary>
internal sealed class TracedTextMap(TracedText text) : ICodeMap
{
    private const string FtraceCaller = "ftrace_caller";
    private const string FunctionPrefix = "function_";

    private readonly SymbolTable? _symbols = (text as KernelText)?.Image.Symbols;

    public string Source => text.KernelName;

    public string? LabelAt(GuestAddress address)
        => _symbols?.HasSymbolAt(address) == true ? _symbols.NameOf(address)
            : address == text.FtraceCaller ? FtraceCaller
            : IndexOf(text.Functions, address) is { } function ? FunctionPrefix + function.ToString(CultureInfo.InvariantCulture)
            : null;

    public string? NameOf(GuestAddress address) => text is KernelText kernel && kernel.Image.IsInText(address) ? kernel.Image.Symbols.NameOf(address) : LabelAt(address);

    public bool TryFind(string name, out GuestAddress address)
    {
        if (_symbols is not null && _symbols.TryFind(name, out address)) return true;
        address = text.FtraceCaller;
        if (name == FtraceCaller) return true;
        if (!name.StartsWith(FunctionPrefix, StringComparison.Ordinal) || !int.TryParse(name.AsSpan(FunctionPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var function) || function >= text.Functions.Count) return false;
        address = text.Functions[function];
        return true;
    }

    public GuestAddress? NextAfter(GuestAddress address) => _symbols?.NextAfter(address);

    public int? SiteAt(GuestAddress address) => IndexOf(text.Sites, address);

    private static int? IndexOf(IReadOnlyList<GuestAddress> ascending, GuestAddress address)
    {
        int low = 0, high = ascending.Count;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (ascending[middle] < address) low = middle + 1;
            else high = middle;
        }

        return low < ascending.Count && ascending[low] == address ? low : null;
    }
}
