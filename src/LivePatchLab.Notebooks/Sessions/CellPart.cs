namespace LivePatchLab.Notebooks;

/// <summary>A piece of a cell: one magic line, or the C# between two of them; its first line is counted from 1 in the cell.</summary>
internal readonly record struct CellPart(bool IsMagic, string Text, int FirstLine)
{
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
