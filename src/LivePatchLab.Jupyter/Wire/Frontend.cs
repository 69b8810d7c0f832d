namespace LivePatchLab.Jupyter;

/// <summary>The channels by which a running cell reaches the frontends: what all hear, and what one is asked.</summary>
internal sealed record Frontend(IOPub IOPub, StdinChannel Stdin);
