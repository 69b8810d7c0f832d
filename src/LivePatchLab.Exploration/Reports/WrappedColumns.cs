using System.Text;

namespace LivePatchLab.Exploration;

/// <summary>Text in columns; what is too long for its column goes on below, inside it.</summary>
/// <param name="widths">Of the columns, in characters.</param>
internal sealed class WrappedColumns(IReadOnlyList<int> widths)
{
    /// <summary>Stands for a space at which no line is broken.</summary>
    public const char FirmSpace = '\u00a0';

    public const int Gap = 2;
    private readonly List<string> _lines = [];

    /// <summary>A row; columns that are left out are empty.</summary>
    public WrappedColumns Add(params ReadOnlySpan<string> cells)
    {
        var wrapped = new List<IReadOnlyList<string>>();
        for (var i = 0; i < cells.Length; i++) wrapped.Add(Wrap(cells[i], widths[i]));
        for (var line = 0; line < wrapped.Max(cell => cell.Count); line++)
        {
            var text = new StringBuilder();
            foreach (var (column, cell) in wrapped.Index())
                text.Append((line < cell.Count ? cell[line] : "").PadRight(widths[column])).Append(' ', Gap);
            _lines.Add(text.ToString().TrimEnd());
        }

        return this;
    }

    /// <summary>Lines of dashes as wide as the columns.</summary>
    public WrappedColumns Rule() => Add([.. widths.Select(width => new string('-', width))]);

    public override string ToString() => string.Join('\n', _lines);

    /// <summary>Breaks a text at its spaces, or within a word that is wider than a line. What follows the first line stands two further in.</summary>
    public static IReadOnlyList<string> Wrap(string text, int width)
    {
        var lines = new List<string>();
        var indent = text.Length - text.TrimStart(' ').Length;
        var hanging = new string(' ', Math.Min(indent + 2, width / 2));
        var line = new StringBuilder(text[..indent]);
        var isEmpty = true;
        foreach (var word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var rest = word;
            if (!isEmpty && line.Length + 1 + rest.Length > width) Break();
            if (!isEmpty) line.Append(' ');
            while (line.Length + rest.Length > width)
            {
                var fits = Math.Max(1, width - line.Length);
                line.Append(rest[..fits]);
                rest = rest[fits..];
                Break();
            }

            line.Append(rest);
            isEmpty = false;
        }

        lines.Add(line.ToString());
        return [.. lines.Select(each => each.Replace(FirmSpace, ' '))];

        void Break()
        {
            lines.Add(line.ToString());
            line.Clear().Append(hanging);
            isEmpty = true;
        }
    }

    /// <summary>How wide columns become that share a width: none wider than it needs, and those that need more than their part get alike.</summary>
    public static int[] Share(int width, IReadOnlyList<int> needs)
    {
        var widths = new int[needs.Count];
        var left = width;
        foreach (var (taken, column) in Enumerable.Range(0, needs.Count).OrderBy(i => needs[i]).Index())
        {
            widths[column] = Math.Min(needs[column], left / (needs.Count - taken));
            left -= widths[column];
        }

        return widths;
    }
}
