namespace LivePatchLab.Machine.Tests;

/// <summary>CPUs that are started at random in pages of random bytes, by <see cref="RandomStarts"/>.</summary>
internal sealed class RandomBytesScene(ulong seed, TestedEngine engine) : LockStepScene(seed)
{
    /// <summary>Most of what random bytes do is to fault, which takes longer than anything else.</summary>
    private const int QuantaMax = 60;

    private readonly RandomStarts _starts = new(seed, engine);
    private int _quanta;

    public override SmpMachine Machine => _starts.Machine;

    public override string Description => $"{Machine.Cpus.Count} CPUs, {Machine.Fetch.Name}";

    public override bool IsOver => _quanta >= QuantaMax;

    public override void BeforeQuantum()
    {
        _quanta++;
        _starts.Begin();
    }

    public override void Dispose() => _starts.Dispose();
}
