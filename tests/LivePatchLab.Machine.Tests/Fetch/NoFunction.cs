namespace LivePatchLab.Machine.Tests;

/// <summary>An IPI that is only for its coming: what its target does is to take it and to return.</summary>
internal sealed class NoFunction : IpiFunction
{
    public override string Name => "nothing";
}
