namespace LivePatchLab.Exploration;

/// <summary>B18 to B35: stacks, NMIs, locks, memory that is freed, other people's INT3s, time.</summary>
public static partial class BugGallery
{
    private static IEnumerable<HistoricalBug> Lifetimes() => [];
}
