using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P1 with the recovery of Linux 3.15 (commits 12729f14d835, 7f11f5ecf4ae and c932c6b7c913, February 2014), which came out of the work on the
/// seed's series: what it puts back really is written, a failure to do so is a BUG, and a sync follows.
/// </summary>
/// <remarks>
///   patcher                                              any other CPU
///   modifying_ftrace_code++
///   each: check the old code, [0] = int3;     run_sync   from here on: traps, and the handler skips the call
///   each: [1..] = new;                        run_sync
///   each: update the record, [0] = new;       run_sync   nobody can trap any more
///   on failure: each int3 goes;               run_sync   nobody can trap any more
///   modifying_ftrace_code--
/// </remarks>
[KernelName("ftrace_replace_code", File = "arch/x86/kernel/ftrace.c", Version = "v3.15")]
public sealed class Ftrace2014 : IPatchProtocol
{
    public const string PhaseAdding = Ftrace2012.PhaseAdding;
    public const string PhaseUpdating = Ftrace2012.PhaseUpdating;
    public const string PhaseFinishing = Ftrace2012.PhaseFinishing;
    public const string PhaseRecovering = Ftrace2012.PhaseRecovering;

    public string Name => "ftrace_2014";

    public string Summary => "P1 with the recovery of Linux 3.15 to 5.4: written through the alias, BUG when it fails, and a sync behind it";

    public bool MaySkip => true;

    public Invariants PromisesUnder(FetchModel model)
        => Promises.OfThreeSyncs(model) | Promises.OfDrainedHandlers(model, Invariants.TrapsAreConsumed) | Invariants.WaitsWithInterruptsOn;

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(new(kernel));

    private static IEnumerable<KernelStep> ReplaceCode(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        var pass = new FtracePasses(kernel, sites);

        var report = PhaseAdding;
        yield return new PhaseMark(PhaseAdding);
        yield return KernelStep.Call(pass.AddBreakpoints());
        if (pass.Error != 0) goto remove_breakpoints;
        yield return KernelStep.Call(pass.RunSync());

        report = PhaseUpdating;
        pass.Count = 0;
        yield return new PhaseMark(PhaseUpdating);
        yield return KernelStep.Call(pass.AddUpdates());
        if (pass.Error != 0) goto remove_breakpoints;
        yield return KernelStep.Call(pass.RunSync());

        report = PhaseFinishing;
        pass.Count = 0;
        yield return new PhaseMark(PhaseFinishing);
        yield return KernelStep.Call(pass.FinishUpdates());
        if (pass.Error != 0) goto remove_breakpoints;
        yield return KernelStep.Call(pass.RunSync());
        yield break;

    remove_breakpoints:
        var failing = pass.Current!;
        yield return new PhaseMark(PhaseRecovering);
        foreach (var site in sites)
        {
            yield return KernelStep.Call(RemoveBreakpoint(kernel, pass, site));
            if (kernel.Kernel.Bug is not null) yield break;
        }

        yield return KernelStep.Call(pass.RunSync());
        kernel.Failure = new(pass.Error, report, pass.Count, failing.Address, Recovered: true);
    }

    /// <summary>remove_breakpoint(), and the BUG() of its caller: INT3s are understood only while ftrace_replace_code() is under way.</summary>
    private static IEnumerable<KernelStep> RemoveBreakpoint(PatchContext kernel, FtracePasses pass, PatchSite site)
    {
        var actual = kernel.ProbeKernelRead(site.Address, site.Length);
        yield return actual;
        if (actual.Error != 0)
        {
            yield return kernel.Kernel.RaiseBug($"remove_breakpoint: {site.Address} cannot be read");
            yield break;
        }

        if (actual.Bytes[0] != BreakpointState.Int3) yield break;
        var first = FtracePasses.FirstByteFor(actual.Bytes[1..], site);
        if (first.IsEmpty)
        {
            yield return kernel.Kernel.RaiseBug($"remove_breakpoint: behind the int3 at {site.Address} stands neither nop nor call");
            yield break;
        }

        var write = pass.FtraceWrite(site.Address, first);
        yield return write;
        if (write.Error != 0) yield return kernel.Kernel.RaiseBug($"remove_breakpoint: the int3 at {site.Address} cannot be removed");
    }

    private sealed class Patcher(FtraceModification ftrace) : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            ftrace.Know(sites);
            yield return ftrace.ModifyingFtraceCode.Update("+ 1", n => n + 1);
            yield return KernelStep.Call(ReplaceCode(kernel, sites));
            yield return ftrace.ModifyingFtraceCode.Update("- 1", n => n - 1);
        }
    }
}
