namespace LivePatchLab.Machine;

/// <summary>How the bytes of an instruction that was fetched from a dirty line stand to those in memory.</summary>
/// <param name="IsStale">Memory holds other bytes there now.</param>
/// <param name="IsTorn">Memory has never held these bytes together since all CPUs last agreed on the line.</param>
public readonly record struct FetchCoherence(bool IsStale, bool IsTorn);
