using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>Fetch models, a row each.</summary>
internal static class FetchModelView
{
    public static HtmlFragment Of(IReadOnlyList<FetchModel> models) => new ViewBuilder().Table(new(
        ["fetch model", "bytes fetched as one", "a store reaches other CPUs", "stale for at most", "#BP gate", "what it stands for"],
        [
            .. models.Select(model => (string[])
            [
                model.Name,
                $"{model.AtomicChunkBytes}",
                Reach(model),
                model.StalenessBoundCycles is { } bound ? $"{ViewBuilder.Count(bound)} cycles" : model.RemoteSnoop == RemoteSnoop.FlushAll ? "-" : "any time",
                model.BreakpointGate.ToString().ToLowerInvariant(),
                model.Description,
            ]),
        ])).Build();

    private static string Reach(FetchModel model) => model switch
    {
        { IcacheCoherent: false } => "when its line is maintained and they serialise",
        { RemoteSnoop: RemoteSnoop.FlushAll } => "at once",
        { CaptureUnit: CaptureUnit.Block } => "at their next block",
        { QueueDepth: { } depth } => $"when they serialise, or {depth} instructions later",
        _ => "when they serialise",
    };
}
