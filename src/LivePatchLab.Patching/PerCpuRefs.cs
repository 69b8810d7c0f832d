using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>A count of references for each possible CPU, as Linux has them since 6.16 (commit 4334336e769b).</summary>
internal sealed class PerCpuRefs
{
    private readonly KernelVariable<int>[] _refs;

    public PerCpuRefs(string name, int cpus)
    {
        _refs = new KernelVariable<int>[cpus];
        for (var i = 0; i < cpus; i++) _refs[i] = new($"{name}[{i}]", 0);
    }

    public KernelVariable<int> Of(Cpu cpu) => _refs[cpu.Id.Index];

    /// <summary>Gives handlers on every CPU something to count on.</summary>
    public IEnumerable<KernelStep> SetAll()
    {
        // Release stores: whoever sees a count sees the array. One barrier serves them all, for nothing else is stored between them.
        yield return Fence.Write;
        foreach (var refs in _refs) yield return refs.Store(1);
    }

    /// <summary>Waits, CPU by CPU, until no handler has a reference.</summary>
    public IEnumerable<KernelStep> DropAndWaitForAll()
    {
        foreach (var refs in _refs) yield return KernelStep.Call(Refcount.DropAndWait(refs));
    }
}
