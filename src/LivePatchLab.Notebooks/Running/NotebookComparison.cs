using System.Globalization;
using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

/// <summary>The first thing in which a cell shows something else than before.</summary>
/// <param name="Cell">Its number, counting all cells from 1.</param>
/// <param name="Place">Where in the cell: an output and a line, or a member of a figure's data.</param>
/// <param name="Was">What was there; null for nothing.</param>
/// <param name="Is">What is there now; null for nothing.</param>
public sealed record CellDrift(int Cell, string Place, string? Was, string? Is)
{
    private const int ExcerptMax = 120;

    /// <summary>Three lines: the place, what was, what is. Long lines are cut to the part that differs.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"cell {Cell}, {Place}\n  was: {Excerpt(Was, Is)}\n  is:  {Excerpt(Is, Was)}");

    private static string Excerpt(string? text, string? other)
    {
        if (text is null) return "(nothing)";
        var common = other is null ? 0 : text.AsSpan().CommonPrefixLength(other);
        var start = text.Length <= ExcerptMax ? 0 : Math.Max(0, Math.Min(common - (ExcerptMax / 3), text.Length - ExcerptMax));
        var end = Math.Min(text.Length, start + ExcerptMax);
        return $"{(start > 0 ? "…" : "")}{text[start..end]}{(end < text.Length ? "…" : "")}";
    }
}

/// <summary>Compares what two executions of a notebook show: the text/plain of every output and the data of every figure. HTML and images follow from those.</summary>
public static class NotebookComparison
{
    /// <summary>Whether it holds what an execution leaves behind; one without any code has nothing to show, and counts as executed.</summary>
    public static bool IsExecuted(NotebookDocument document)
    {
        var code = document.Cells.Where(cell => cell.Kind == CellKind.Code && !string.IsNullOrWhiteSpace(cell.Source)).ToArray();
        return code.Length == 0 || code.Any(cell => cell.ExecutionCount is not null || cell.Outputs.Count > 0);
    }

    /// <summary>The cells that differ, each with its first difference.</summary>
    /// <param name="before">What is to be shown.</param>
    /// <param name="after">The same notebook, executed again.</param>
    public static IReadOnlyList<CellDrift> Drifts(NotebookDocument before, NotebookDocument after)
    {
        if (before.Cells.Count != after.Cells.Count)
            throw new ArgumentException($"two executions of a notebook have the same cells, not {before.Cells.Count} and {after.Cells.Count}", nameof(after));
        // Through the file's own form, in which numbers and texts are written in one way.
        var (was, now) = (Normalised(before), Normalised(after));
        return [.. was.Cells.Zip(now.Cells).Index().Select(pair => Drift(pair.Index + 1, Shown(pair.Item.First), Shown(pair.Item.Second))).OfType<CellDrift>()];
    }

    private static NotebookDocument Normalised(NotebookDocument document) => NotebookDocument.Parse(document.ToJson(), "notebook");

    private static CellDrift? Drift(int cell, List<(string Text, JsonNode? Figure)> was, List<(string Text, JsonNode? Figure)> now)
    {
        for (var i = 0; i < Math.Max(was.Count, now.Count); i++)
        {
            var output = string.Create(CultureInfo.InvariantCulture, $"output {i + 1}");
            if (i >= was.Count || i >= now.Count)
                return new(cell, output, FirstLine(was.ElementAtOrDefault(i).Text), FirstLine(now.ElementAtOrDefault(i).Text));
            if (TextDrift(cell, output, was[i].Text, now[i].Text) is { } text)
                return text;
            if (FigureDrift(was[i].Figure, now[i].Figure, "") is var (path, before, after))
                return new(cell, $"{output}, figure{(path.Length > 0 ? " " + path : "")}", before, after);
        }
        return null;
    }

    private static CellDrift? TextDrift(int cell, string output, string was, string now)
    {
        if (was == now) return null;
        var (before, after) = (was.Split('\n'), now.Split('\n'));
        var line = before.Zip(after).TakeWhile(pair => pair.First == pair.Second).Count();
        return new(cell, string.Create(CultureInfo.InvariantCulture, $"{output}, line {line + 1}"), before.ElementAtOrDefault(line), after.ElementAtOrDefault(line));
    }

    /// <summary>The first member in which two figures differ, with its path as JavaScript writes it; null when there is none.</summary>
    private static (string Path, string? Was, string? Is)? FigureDrift(JsonNode? was, JsonNode? now, string path)
    {
        switch (was, now)
        {
            case (JsonObject before, JsonObject after):
                return before.Select(member => member.Key).Union(after.Select(member => member.Key))
                    .Select(key => FigureDrift(before[key], after[key], path.Length == 0 ? key : $"{path}.{key}")).FirstOrDefault(found => found is not null);
            case (JsonArray before, JsonArray after):
                return Enumerable.Range(0, Math.Max(before.Count, after.Count))
                    .Select(i => FigureDrift(before.ElementAtOrDefault(i), after.ElementAtOrDefault(i), string.Create(CultureInfo.InvariantCulture, $"{path}[{i}]"))).FirstOrDefault(found => found is not null);
            default:
                var (beforeText, afterText) = (was?.ToJsonString(), now?.ToJsonString());
                return beforeText == afterText ? null : (path, beforeText, afterText);
        }
    }

    /// <summary>Every output's text and figure. Pieces of one stream are one output here: how a stream is cut depends on the frontend that saved the file.</summary>
    private static List<(string Text, JsonNode? Figure)> Shown(NotebookCell cell)
    {
        var shown = new List<(string Text, JsonNode? Figure)>();
        NotebookOutput? last = null;
        foreach (var output in cell.Outputs)
        {
            if (output is StreamOutput stream && last is StreamOutput before && before.Name == stream.Name)
                shown[^1] = (shown[^1].Text + stream.Text, null);
            else
                shown.Add(Shown(output));
            last = output;
        }
        return shown;
    }

    private static (string Text, JsonNode? Figure) Shown(NotebookOutput output) => output switch
    {
        StreamOutput stream => (stream.Text, null),
        DisplayOutput display => Shown(display.Data),
        ResultOutput result => Shown(result.Data),
        ErrorOutput error => (string.Join('\n', error.Traceback), null),
        _ => throw new ArgumentException($"{output.GetType().Name} is no output that nbformat knows", nameof(output)),
    };

    private static (string Text, JsonNode? Figure) Shown(MimeBundle data) => (data.Text(MimeBundle.Plain) ?? "", data[MimeBundle.Plotly]);

    private static string? FirstLine(string? text) => text?.Split('\n')[0];
}
