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
        var meant = Nearest(names, name) is { } nearest ? $" Did you mean {nearest}?" : "";
        throw new BadInputException($"no {kind} named '{name}'.{meant}  (there are: {string.Join(", ", names)})");
    }

    /// <summary>The name that differs least from another, or null where none is near.</summary>
    public static string? Nearest(IEnumerable<string> names, string name)
    {
        var best = names
            .Select(candidate => (candidate, distance: Distance(candidate.ToLowerInvariant(), name.ToLowerInvariant())))
            .OrderBy(c => c.distance)
            .FirstOrDefault();
        return best.candidate is not null && best.distance <= Math.Max(2, best.candidate.Length / 3) ? best.candidate : null;
    }

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
