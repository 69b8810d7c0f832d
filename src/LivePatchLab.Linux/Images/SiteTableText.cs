using System.Globalization;
using System.Text;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The text form of a site table: hexadecimal deltas, comma separated, 'w' after one that ftrace never enables.</summary>
internal static class SiteTableText
{
    private const char WeakMark = 'w';

    private const int DeltasPerLine = 64;

    private const string Lines = "hex deltas (first = offset from .text base), .text sites only; w = weak leftover, never enabled; E8 __fentry__";

    public static SiteTable Parse(TextReader reader, string sourceName)
    {
        TableHeader? header = null;
        var sites = new List<FtraceSite>();
        var number = 0;
        while (reader.ReadLine() is { } line)
        {
            number++;
            var text = line.AsSpan().Trim();
            if (header is null && TableHeader.IsHeader(text)) header = TableHeader.Parse(text, $"{sourceName}:{number}");
            if (text.IsEmpty || text[0] == '#') continue;
            if (header is not { } known) throw TableHeader.Missing(sourceName);
            foreach (var range in text.Split(','))
                sites.Add(ReadSite(text[range].Trim(), sites.Count == 0 ? null : sites[^1].Address, known.TextBase, sourceName, number));
        }

        if (header is not { } good) throw TableHeader.Missing(sourceName);
        good.RequireCount(sites.Count, $"{sourceName}:{number}");
        return new(good.KernelName, good.TextBase, sites);
    }

    public static void Write(SiteTable table, TextWriter writer)
    {
        new TableHeader(table.KernelName, table.TextBase, table.Sites.Count).Write(writer, Lines);
        var line = new StringBuilder();
        var previous = table.TextBase;
        for (var i = 0; i < table.Sites.Count; i++)
        {
            var site = table.Sites[i];
            line.Append(CultureInfo.InvariantCulture, $"{site.Address - previous:x}");
            if (!site.IsEnabled) line.Append(WeakMark);
            previous = site.Address;
            var isLast = i == table.Sites.Count - 1 || i % DeltasPerLine == DeltasPerLine - 1;
            line.Append(isLast ? '\n' : ',');
            if (!isLast) continue;
            writer.Write(line);
            line.Clear();
        }
    }

    private static FtraceSite ReadSite(ReadOnlySpan<char> text, GuestAddress? previous, GuestAddress textBase, string sourceName, int number)
    {
        var isEnabled = text.IsEmpty || text[^1] != WeakMark;
        if (!ulong.TryParse(isEnabled ? text : text[..^1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var delta))
            throw new BadInputException($"{sourceName}:{number}: '{Shortened(text)}' is not a hexadecimal delta (with {WeakMark} after it for a weak leftover); fetch the table again");

        var before = previous ?? textBase;
        var address = before + unchecked((long)delta);
        if (previous is { } last && (address < last || address.Value - last.Value < FtraceSite.Length || (long)delta < 0))
            throw new BadInputException($"{sourceName}:{number}: delta {text} after {last} gives {address}; sites must ascend by at least {FtraceSite.Length} bytes, sort the table");
        if (address < textBase || !TableHeader.IsInKernelText(address, FtraceSite.Length))
            throw new BadInputException($"{sourceName}:{number}: delta {text} gives {address}, outside the kernel's text [{textBase}, ffffffffc0000000); fetch the table again");
        return new(address, isEnabled);
    }

    private static string Shortened(ReadOnlySpan<char> text) => text.Length <= 24 ? text.ToString() : $"{text[..24]}...";
}
