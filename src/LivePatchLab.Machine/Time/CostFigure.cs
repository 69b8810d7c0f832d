namespace LivePatchLab.Machine;

/// <summary>One figure of a cost model, with where it comes from.</summary>
/// <param name="Cycles">The cost in cycles of the model's clock.</param>
/// <param name="Source">Who measured it and where, or from what it was fitted or assumed.</param>
public readonly record struct CostFigure(long Cycles, string Source)
{
    public static implicit operator long(CostFigure figure) => figure.Cycles;

    /// <summary>A figure that its source gives in nanoseconds.</summary>
    public static CostFigure FromNanoseconds(double nanoseconds, long frequencyHz, string source)
        => new((long)Math.Round(nanoseconds * frequencyHz / 1e9), source);
}
