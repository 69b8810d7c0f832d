namespace LivePatchLab.Notebooks;

/// <summary>A piece of a cell: one magic line, or the C# between two of them; its first line is counted from 1 in the cell.</summary>
internal readonly record struct CellPart(bool IsMagic, string Text, int FirstLine)
{
    /// <summary>The cell with its magic lines and directives blanked out, so that every other character stays where it is.</summary>
    public static string OnlyCSharp(string cell)
    {
        var code = cell.ToCharArray();
        for (var start = 0; start < code.Length;)
        {
            var end = cell.AsSpan(start).IndexOfAny('\n', '\r') is >= 0 and var length ? start + length : code.Length;
            var line = cell.AsSpan(start, end - start);
            if (line.StartsWith(Magic.Prefix) || ReferenceDirective.IsDirective(line))
                code.AsSpan(start, end - start).Fill(' ');
            start = end + 1;
        }
        return new(code);
    }

    /// <summary>In order; C# that is only white space is left out.</summary>
    public static IReadOnlyList<CellPart> Split(string cell)
    {
        var parts = new List<CellPart>();
        var code = new List<string>();
        var lines = cell.ReplaceLineEndings("\n").Split('\n');
        for (var i = 0; i < lines.Length; i++)
        {
            if (MagicLine.IsMagic(lines[i]))
            {
                Close(i);
                parts.Add(new(true, lines[i], i + 1));
            }
            else
            {
                code.Add(lines[i]);
            }
        }
        Close(lines.Length);
        return parts;

        void Close(int end)
        {
            if (code.Any(line => !string.IsNullOrWhiteSpace(line)))
                parts.Add(new(false, string.Join('\n', code), end - code.Count + 1));
            code.Clear();
        }
    }
}
