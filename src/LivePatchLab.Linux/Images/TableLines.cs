using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>Reads a table of one site a line, and knows at which line it is when something is wrong.</summary>
internal sealed class TableLines(TextReader reader, string sourceName, int columns)
{
    private TableHeader? _header;
    private int _number;

    public TableHeader Header => _header ?? throw TableHeader.Missing(sourceName);

    /// <summary>The fields of the next line that has a site; false at the end.</summary>
    public bool Next(out TableHeader header, [NotNullWhen(true)] out string[]? fields)
    {
        while (reader.ReadLine() is { } line)
        {
            _number++;
            if (_header is null && TableHeader.IsHeader(line)) _header = TableHeader.Parse(line, $"{sourceName}:{_number}");
            if (line.Length == 0 || line[0] == '#') continue;
            header = Header;
            fields = line.Split(',');
            return fields.Length == columns ? true : throw Bad($"{fields.Length} fields where {columns} should be");
        }

        header = Header;
        fields = null;
        return false;
    }

    public GuestAddress Address(string text, GuestAddress textBase)
    {
        if (!uint.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var offset)) throw Bad($"'{text}' is not a hexadecimal offset");
        var address = textBase + offset;
        return TableHeader.IsInKernelText(address, 5) ? address : throw Bad($"offset {text} gives {address}, outside the kernel's window");
    }

    public void RequireAscending<T>(List<T> sites, Func<T, GuestAddress> addressOf)
    {
        Header.RequireCount(sites.Count, $"{sourceName}:{_number}");
        for (var i = 1; i < sites.Count; i++)
        {
            if (addressOf(sites[i]) <= addressOf(sites[i - 1]))
                throw new BadInputException($"{sourceName}: the site at {addressOf(sites[i])} comes after {addressOf(sites[i - 1])}; sort the table");
        }
    }

    public BadInputException Bad(string what) => new($"{sourceName}:{_number}: {what}; fetch the table again");
}
