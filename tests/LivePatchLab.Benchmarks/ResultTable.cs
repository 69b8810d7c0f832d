using System.Globalization;
using System.Text.Json.Nodes;

namespace LivePatchLab.Benchmarks;

/// <summary>What was measured: the first column names the row, the others are numbers, with the unit in the column's name; null is "not here".</summary>
internal sealed record ResultTable(params string[] Columns)
{
    private readonly List<(string Name, double?[] Values)> _rows = [];
    private readonly List<string> _notes = [];

    public void Add(string name, params double?[] values)
    {
        if (values.Length != Columns.Length - 1) throw new ArgumentException($"{name}: {values.Length} values for {Columns.Length - 1} columns", nameof(values));
        _rows.Add((name, values));
    }

    public void Note(string text) => _notes.Add(text);

    /// <summary>The geometric mean and the least of each column; null where a row has no value.</summary>
    public void AddGeometricMeanAndMinimum()
    {
        var rows = _rows.ToList();
        Add("geomean", Of(column => Math.Exp(column.Average(Math.Log))));
        Add("minimum", Of(column => column.Min()));

        double?[] Of(Func<List<double>, double> summary) => [.. Enumerable.Range(0, Columns.Length - 1).Select(column =>
            rows.TrueForAll(row => row.Values[column] is > 0) ? summary([.. rows.Select(row => row.Values[column]!.Value)]) : (double?)null)];
    }

    public JsonObject ToJson() => new()
    {
        ["columns"] = new JsonArray([.. Columns.Select(c => JsonValue.Create(c))]),
        ["rows"] = new JsonArray([.. _rows.Select(row => new JsonArray([JsonValue.Create(row.Name), .. row.Values.Select(v => v is { } value ? JsonValue.Create(value) : null)]))]),
        ["notes"] = new JsonArray([.. _notes.Select(n => JsonValue.Create(n))]),
    };

    public override string ToString()
    {
        string[][] cells = [Columns, .. _rows.Select(row => (string[])[row.Name, .. row.Values.Select(Show)])];
        var widths = Enumerable.Range(0, Columns.Length).Select(column => cells.Max(row => row[column].Length)).ToArray();
        var lines = cells.Select(row => string.Join("  ", row.Select((cell, column) => column == 0 ? cell.PadRight(widths[0]) : cell.PadLeft(widths[column]))).TrimEnd());
        return string.Join('\n', [.. lines, .. _notes]);
    }

    private static string Show(double? value) => value switch
    {
        null => "-",
        { } v when Math.Abs(v) >= 100 => v.ToString("N0", CultureInfo.InvariantCulture),
        { } v when Math.Abs(v) >= 10 => v.ToString("F1", CultureInfo.InvariantCulture),
        { } v => v.ToString("F2", CultureInfo.InvariantCulture),
    };
}
