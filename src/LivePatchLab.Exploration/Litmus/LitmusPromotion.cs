using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>Accepts what came out as what is expected from now on: rewrites the verdicts of a litmus file, and nothing else. Reasons and comments stay; whether a reason still holds is for its author to say.</summary>
public static class LitmusPromotion
{
    /// <summary>The text of the file with the verdicts that have come out.</summary>
    /// <param name="text">The file's text, as the test was read from it.</param>
    /// <param name="rows">Rows of that test, of one search; only those that are not as expected change anything.</param>
    public static string Rewrite(string text, IEnumerable<LitmusRow> rows)
    {
        var lines = text.Split('\n').ToList();

        // From the bottom, so that the lines above keep their numbers.
        foreach (var line in rows.Where(r => !r.IsAsExpected).GroupBy(r => r.Expected.Line).OrderByDescending(g => g.Key))
            RewriteLine(lines, line.Key - 1, [.. line]);
        return string.Join('\n', lines);
    }

    /// <summary>Rewrites the file of a test.</summary>
    /// <returns>What was changed, a line for each verdict.</returns>
    public static IReadOnlyList<string> Promote(LitmusTest test, IReadOnlyList<LitmusRow> rows)
    {
        var differing = rows.Where(r => !r.IsAsExpected).ToList();
        if (differing.Count == 0) return [];
        File.WriteAllText(test.File, Rewrite(File.ReadAllText(test.File), differing));
        return [.. differing.Select(r => $"{test.File}:{r.Expected.Line}: {r.Model.Name} {r.Expected.Verdict.NameOf()} -> {r.Verdict.NameOf()}; its reason was: {r.Expected.Reason}")];
    }

    private static void RewriteLine(List<string> lines, int index, IReadOnlyList<LitmusRow> rows)
    {
        var line = lines[index];
        var expected = rows[0].Expected;
        var head = line["verdict".Length..];
        var word = FindWord(line, expected.Verdict.NameOf());
        var names = head[..(word - "verdict".Length)];
        var models = names.Trim() == "every model" ? [.. FetchModel.Presets.Select(m => m.Name)] : names.Split(',', StringSplitOptions.TrimEntries).ToList();
        var staying = models.Except(rows.Select(r => r.Model.Name)).ToList();
        var changed = rows.GroupBy(r => r.Verdict).ToList();
        if (staying.Count == 0 && changed.Count == 1)
        {
            lines[index] = string.Concat(line.AsSpan(0, word), changed[0].Key.NameOf(), line.AsSpan(word + expected.Verdict.NameOf().Length));
            return;
        }

        // The line's own continuation stays below it, so what leaves it goes above.
        var added = changed.Select(g => $"verdict   {string.Join(", ", g.Select(r => r.Model.Name))}  {g.Key.NameOf()}  {expected.Reason}").ToList();
        if (staying.Count > 0)
        {
            lines[index] = $"verdict   {string.Join(", ", staying)}  {line[word..]}";
        }
        else
        {
            lines[index] = $"{added[^1][..added[^1].IndexOf(expected.Reason, StringComparison.Ordinal)]}{line[(word + expected.Verdict.NameOf().Length)..].TrimStart()}";
            added.RemoveAt(added.Count - 1);
        }

        lines.InsertRange(index, added);
    }

    private static int FindWord(string line, string word)
    {
        for (var at = line.IndexOf(word, StringComparison.Ordinal); at >= 0; at = line.IndexOf(word, at + 1, StringComparison.Ordinal))
            if (line[at - 1] is ' ' or '\t' && (at + word.Length == line.Length || line[at + word.Length] is ' ' or '\t')) return at;
        throw new InvalidOperationException($"'{line}' names no verdict {word}: the file has changed since it was read");
    }
}
