using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// What a machine shows by itself to be wrong, whatever is checked: an exception that nobody consumed, a kernel that has given up, a wait without end; and which
/// invariant explains it.
/// </summary>
/// <param name="Invariant">A single one.</param>
/// <param name="Cpu">Where it happened.</param>
/// <param name="Address">The instruction, or the default.</param>
/// <param name="Detail">In words.</param>
internal sealed record MachineFailure(Invariants Invariant, Cpu Cpu, GuestAddress Address, string Detail)
{
    /// <summary>How an execution has failed that is over; null where it has not.</summary>
    public static MachineFailure? Of(ScenarioRun run)
    {
        var machine = run.Machine;
        if (machine.Fault is { } fault) return new(InvariantOf(run, fault), machine.Cpus[fault.Cpu.Index], fault.Rip, Describe(fault));
        if (run.Kernel.Bug is { } bug) return new(InvariantOf(run.Kernel.BugKind), CpuOfBug(run), default, bug);
        if (machine.IsStopRequested || Array.Find(run.CpuArray, c => c.IsWaitingForever) is not { } waiting) return null;
        foreach (var site in run.Sites)
            if (waiting.IsSpinning && waiting.Rip == site.Address && !site.Guard.IsEmpty) return new(Invariants.EffectIsOldOrNew, waiting, site.Address, $"{waiting.Id} goes round in the guard at {site.Address} for ever");
        return new(Invariants.WaitsWithInterruptsOn, waiting, default, "deadlock: " + string.Join("; ", machine.Waiting()));
    }

    public static string Describe(GuestFault fault) => fault.Vector == TrapVector.NonMaskableInterrupt
        ? "an NMI cannot return: the next NMI has overwritten its frame"
        : $"nobody consumed {fault.Vector.Mnemonic()} at {fault.Rip}, where memory holds {(fault.Code.Count > 0 ? Convert.ToHexStringLower([.. fault.Code]) : "nothing")}";

    /// <summary>The CPU on which the kernel gave up.</summary>
    public static Cpu CpuOfBug(ScenarioRun run) => run.Machine.Cpus.FirstOrDefault(c => c.Routine?.CurrentStep is StopRun) ?? run.Machine.Cpus[0];

    private static Invariants InvariantOf(ScenarioRun run, GuestFault fault)
    {
        switch (fault.Vector)
        {
            case TrapVector.Breakpoint:
                return run.ForeignInt3At(fault.Rip) is null ? Invariants.TrapsAreConsumed : Invariants.ForeignInt3Survives;
            case TrapVector.NonMaskableInterrupt:
                return Invariants.HandlerIsNotPatched;
        }

        // A guard that raises an exception and is not handled gives neither the old effect nor the new. All else comes of code that was torn, there or on the way.
        foreach (var site in run.Sites)
            if (fault.Rip == site.Address && !site.Guard.IsEmpty && run.Machine.LastFetched.SequenceEqual(site.Guard.Span)) return Invariants.EffectIsOldOrNew;
        return Invariants.NothingTorn;
    }

    private static Invariants InvariantOf(BugKind kind) => kind switch
    {
        BugKind.DanglingPointer or BugKind.UseAfterFree => Invariants.DescriptorOutlivesHandlers,
        BugKind.OutOfBounds => Invariants.ArrayIsSorted,
        BugKind.Stack => Invariants.EffectIsOldOrNew,

        // The patcher has found that it cannot go on: what it has left half done stays so.
        _ => Invariants.NewAfterReturn,
    };
}
