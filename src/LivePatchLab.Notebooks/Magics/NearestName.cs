namespace LivePatchLab.Notebooks;

/// <summary>Finds the name that a user may have meant, by edit distance with transpositions (Damerau's, restricted).</summary>
public static class NearestName
{
    /// <summary>The nearest of <paramref name="names"/>, or null when none is near: more than a third of the letters would have to change.</summary>
    public static string? Of(string wanted, IEnumerable<string> names)
    {
        string? nearest = null;
        var least = int.MaxValue;
        foreach (var name in names)
        {
            var distance = Distance(wanted.ToLowerInvariant(), name.ToLowerInvariant());
            // A name cut short is the commonest mistake after a slip of the finger, and its distance is large.
            if (wanted.Length >= 3 && name.StartsWith(wanted, StringComparison.OrdinalIgnoreCase))
                distance = Math.Min(distance, 1);
            if (distance < least && distance <= Math.Max(1, Math.Max(wanted.Length, name.Length) / 3))
                (nearest, least) = (name, distance);
        }
        return nearest;
    }

    /// <summary>" Did you mean X?" with its leading space, or nothing.</summary>
    public static string Question(string wanted, IEnumerable<string> names, string prefix = "")
        => Of(wanted, names) is { } nearest ? $" Did you mean {prefix}{nearest}?" : "";

    public static int Distance(string from, string to)
    {
        var rows = new int[from.Length + 1, to.Length + 1];
        for (var i = 0; i <= from.Length; i++)
            rows[i, 0] = i;
        for (var j = 0; j <= to.Length; j++)
            rows[0, j] = j;
        for (var i = 1; i <= from.Length; i++)
        {
            for (var j = 1; j <= to.Length; j++)
            {
                var change = from[i - 1] == to[j - 1] ? 0 : 1;
                var best = Math.Min(Math.Min(rows[i - 1, j] + 1, rows[i, j - 1] + 1), rows[i - 1, j - 1] + change);
                if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                    best = Math.Min(best, rows[i - 2, j - 2] + 1);
                rows[i, j] = best;
            }
        }
        return rows[from.Length, to.Length];
    }
}
