using System.Numerics;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>What ftrace's #BP handler looks at: whether code is being modified, and where functions are traced.</summary>
/// <remarks>
/// The handler takes every traced function's INT3 for its own, not only those of the operation: ftrace_location() knows no operations.
/// So an INT3 that somebody else put there disappears in it while code is being modified.
/// </remarks>
[KernelName("ftrace_int3_handler", File = "arch/x86/kernel/ftrace.c", Version = "v3.10")]
internal sealed class FtraceModification
{
    private readonly HashSet<GuestAddress> _locations = [];
    private GuestAddress[] _lastKnown = [];

    public FtraceModification(LinuxKernel kernel) => kernel.RegisterInt3Handler(FtraceInt3Handler);

    /// <summary>Not 0 while INT3s of ftrace may be met.</summary>
    public KernelVariable<int> ModifyingFtraceCode { get; } = new("modifying_ftrace_code", 0);

    /// <summary>ftrace_location() knows every traced function, not only those of one operation.</summary>
    public void Know(IReadOnlyList<PatchSite> sites)
    {
        if (KnewLast(sites)) return;
        _lastKnown = [.. sites.Select(site => site.Address)];
        _locations.UnionWith(_lastKnown);
    }

    /// <summary>Tracing that goes on and off comes with the same sites each time.</summary>
    private bool KnewLast(IReadOnlyList<PatchSite> sites)
    {
        if (sites.Count != _lastKnown.Length) return false;
        var at = 0;
        foreach (var site in sites as PatchSite[] ?? [.. sites])
            if (site.Address != _lastKnown[at++]) return false;
        return true;
    }

    private IEnumerable<KernelStep> FtraceInt3Handler(Cpu cpu, TrapFrame regs)
    {
        var modifying = ModifyingFtraceCode.Load();
        yield return modifying;
        if (modifying.Value == 0) yield break;
        yield return new Delay((BitOperations.Log2((uint)Math.Max(1, _locations.Count)) + 1) * cpu.Machine.Costs.LookupStep, "ftrace_location");
        if (!_locations.Contains(regs.Rip - 1)) yield break;
        regs.Rip += FtraceRecords.McountInsnSize - 1;
        regs.Consumed = true;
    }
}
