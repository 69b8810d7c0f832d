using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The text form of a site table: hexadecimal deltas, comma separated, 'w' after one that ftrace never enables.</summary>
internal static class SiteTableText
{
    private const char WeakMark = 'w';

    private const int DeltasPerLine = 64;

    /// <summary>What is set aside on the word of a header; a table may be longer.</summary>
    private const int ReservedSitesMax = 1 << 17;

    private const string Lines = "hex deltas (first = offset from .text base), .text sites only; w = weak leftover, never enabled; E8 __fentry__";

    public static SiteTable Parse(TextReader reader, string sourceName)
    {
        TableHeader? header = null;
        var sites = new List<FtraceSite>();
        var number = 0;
        while (reader.ReadLine() is { } line)
        {
            number++;
            if (header is null && TableHeader.IsHeader(line))
            {
                header = TableHeader.Parse(line, $"{sourceName}:{number}");
                sites.Capacity = Math.Clamp(header.Value.Count, 0, ReservedSitesMax);
            }

            var text = line.AsSpan().Trim();
            if (text.IsEmpty || text[0] == '#') continue;
            if (header is not { } known) throw TableHeader.Missing(sourceName);
            ReadLine(text, known.TextBase, sites, sourceName, number);
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

    /// <summary>
    /// Reads digit by digit, in code that is optimised when first run: the embedded table is read once, at the start of every run of
    /// the lab, and thirty-five thousand calls of a parser that is not yet optimised took longer than all the rest of that.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ReadLine(ReadOnlySpan<char> text, GuestAddress textBase, List<FtraceSite> sites, string sourceName, int number)
    {
        var first = sites.Count == 0;
        var last = first ? textBase.Value : sites[^1].Address.Value;
        for (var at = 0; at <= text.Length; at++)
        {
            var start = at;
            ulong delta = 0;
            for (; at < text.Length && char.IsAsciiHexDigit(text[at]); at++)
            {
                var digit = (uint)text[at];
                // '0' to '9' are 30 to 39, 'A' to 'F' 41 to 46, 'a' to 'f' 61 to 66: bit 6 says that it is a letter.
                delta = (delta << 4) | ((digit & 15) + ((digit >> 6) * 9));
            }

            var digits = at - start;
            var isWeak = at < text.Length && text[at] == WeakMark;
            if (isWeak) at++;
            if (digits is 0 or > 16 || (at < text.Length && text[at] != ',')) throw NotADelta(text[start..], sourceName, number);

            var address = unchecked(last + delta);
            if (address < last || (!first && delta < FtraceSite.Length) || !TableHeader.IsInKernelText(new(address), FtraceSite.Length))
                throw OutOfOrder(delta, new(last), first, sourceName, number);
            sites.Add(new(new(address), !isWeak));
            last = address;
            first = false;
        }
    }

    private static BadInputException NotADelta(ReadOnlySpan<char> text, string sourceName, int number)
    {
        var comma = text.IndexOf(',');
        if (comma >= 0) text = text[..comma];
        var shown = text.Length <= 24 ? text.ToString() : $"{text[..24]}...";
        return new($"{sourceName}:{number}: '{shown}' is not a hexadecimal delta (with {WeakMark} after it for a weak leftover); fetch the table again");
    }

    private static BadInputException OutOfOrder(ulong delta, GuestAddress last, bool isFirst, string sourceName, int number)
    {
        var address = last + unchecked((long)delta);
        return isFirst || (address > last && delta >= FtraceSite.Length)
            ? new($"{sourceName}:{number}: delta {delta:x} after {last} leaves the kernel's window [ffffffff80000000, ffffffffc0000000); fetch the table again")
            : new($"{sourceName}:{number}: delta {delta:x} after {last} gives {address}; sites must ascend by at least {FtraceSite.Length} bytes, sort the table");
    }
}
