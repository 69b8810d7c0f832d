namespace LivePatchLab.Exploration;

/// <summary>The historical bugs, B01 to B35. The list is that of data/bugs.tsv.</summary>
public static partial class BugGallery
{
    /// <summary>All of them, in the order of their numbers; those that the lab cannot express say what is missing.</summary>
    public static IReadOnlyList<HistoricalBug> All { get; } = [.. Handlers().Concat(Lifetimes()).OrderBy(b => b.Number)];
}
