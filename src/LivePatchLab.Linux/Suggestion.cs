namespace LivePatchLab.Linux;

/// <summary>Finds what a user meant by a name that does not exist.</summary>
public static class Suggestion
{
    /// <summary>The item of a name.</summary>
    /// <param name="items">What there is.</param>
    /// <param name="nameOf">Each item's name.</param>
    /// <param name="name">What the user wrote; upper and lower case are the same.</param>
    /// <param name="kind">What the items are, for the message: "protocol".</param>
    /// <exception cref="BadInputException">There is none of that name; the message names the nearest and lists all.</exception>
    public static T Find<T>(IReadOnlyList<T> items, Func<T, string> nameOf, string name, string kind)
    {
        foreach (var item in items)
            if (string.Equals(nameOf(item), name, StringComparison.OrdinalIgnoreCase)) return item;
        var names = items.Select(nameOf).ToList();
        throw new BadInputException($"no {kind} named '{name}'.{Question(names, name)}  (there are: {string.Join(", ", names)})");
    }

    /// <summary>The nearest of the names, or null when none is near: more than a third of the letters would have to change.</summary>
    public static string? Nearest(IEnumerable<string> names, string wanted)
    {
        string? nearest = null;
        var least = int.MaxValue;
        foreach (var name in names)
        {
            var distance = Distance(wanted.ToLowerInvariant(), name.ToLowerInvariant());

            // A name cut short is the commonest mistake after a slip of the finger, and its distance is large.
            if (wanted.Length >= 3 && name.StartsWith(wanted, StringComparison.OrdinalIgnoreCase)) distance = Math.Min(distance, 1);
            if (distance < least && distance <= Math.Max(1, Math.Max(wanted.Length, name.Length) / 3)) (nearest, least) = (name, distance);
        }

        return nearest;
    }

    /// <summary>" Did you mean X?" with its leading space, or nothing.</summary>
    public static string Question(IEnumerable<string> names, string wanted, string prefix = "")
        => Nearest(names, wanted) is { } nearest ? $" Did you mean {prefix}{nearest}?" : "";

    /// <summary>How many characters must be put in, taken out, changed, or swapped with their neighbour (optimal string alignment).</summary>
    public static int Distance(string left, string right)
    {
        var rows = new int[left.Length + 1, right.Length + 1];
        for (var i = 0; i <= left.Length; i++) rows[i, 0] = i;
        for (var j = 0; j <= right.Length; j++) rows[0, j] = j;
        for (var i = 1; i <= left.Length; i++)
        {
            for (var j = 1; j <= right.Length; j++)
            {
                var change = left[i - 1] == right[j - 1] ? 0 : 1;
                var best = Math.Min(Math.Min(rows[i - 1, j] + 1, rows[i, j - 1] + 1), rows[i - 1, j - 1] + change);
                if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1]) best = Math.Min(best, rows[i - 2, j - 2] + 1);
                rows[i, j] = best;
            }
        }

        return rows[left.Length, right.Length];
    }
}
