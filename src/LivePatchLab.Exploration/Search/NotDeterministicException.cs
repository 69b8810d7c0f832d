namespace LivePatchLab.Exploration;

/// <summary>A scenario gave a search something else to decide than it gave before the same decisions: what it does is not decided by the machine's choices alone.</summary>
internal sealed class NotDeterministicException() : Exception("the same decisions lead to another run");
