namespace LivePatchLab.Exploration;

/// <summary>B01 to B17: the protocol's own order, its handler, its recovery, what it replaces.</summary>
public static partial class BugGallery
{
    private static IEnumerable<HistoricalBug> Handlers() => [];
}
