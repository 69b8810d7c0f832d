using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P1, ftrace's own: ftrace_replace_code() of Linux 3.5 to 3.14 (arch/x86/kernel/ftrace.c, commit 08d636b6d4fb), the code that
/// text_poke_bp_list() wanted to replace. Three passes over all records, a sync after each.
/// </summary>
/// <remarks>
///   patcher                                              any other CPU
///   modifying_ftrace_code++
///   each: check the old code, [0] = int3;     run_sync   from here on: traps, and the handler skips the call
///   each: [1..] = new;                        run_sync
///   each: update the record, [0] = new;       run_sync   nobody can trap any more
///   modifying_ftrace_code--
/// Recovery is that of v3.10, with its two bugs: it writes to the read-only text itself, so that the int3 stays, and it does
/// not synchronise before the counter goes down. Both were mended in 3.15.
/// </remarks>
[KernelName("ftrace_replace_code", File = "arch/x86/kernel/ftrace.c", Version = "v3.10")]
public sealed class Ftrace2012 : IPatchProtocol
{
    public const string PhaseAdding = "adding breakpoints";
    public const string PhaseUpdating = "updating code";
    public const string PhaseFinishing = "removing breakpoints";
    public const string PhaseRecovering = "recovering";

    public string Name => "ftrace_2012";

    public string Summary => "P1, ftrace of Linux 3.5 to 3.14: int3, tails, first bytes over all records, with a sync after each";

    public bool MaySkip => true;

    public Invariants PromisesUnder(FetchModel model)
        => Promises.OfThreeSyncs(model) | Promises.OfDrainedHandlers(model, Invariants.TrapsAreConsumed) | Invariants.WaitsWithInterruptsOn;

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(new(kernel));

    internal static IEnumerable<KernelStep> ReplaceCode(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        // The count is not set back between the passes: so v3.10 reports it.
        var pass = new FtracePasses(kernel, sites);

        yield return new PhaseMark(PhaseAdding);
        yield return KernelStep.Call(pass.AddBreakpoints());
        if (pass.Error == 0)
        {
            yield return KernelStep.Call(pass.RunSync());
            yield return new PhaseMark(PhaseUpdating);
            yield return KernelStep.Call(pass.AddUpdates());
        }

        if (pass.Error == 0)
        {
            yield return KernelStep.Call(pass.RunSync());
            yield return new PhaseMark(PhaseFinishing);
            yield return KernelStep.Call(pass.FinishUpdates());
        }

        if (pass.Error == 0)
        {
            yield return KernelStep.Call(pass.RunSync());
            yield break;
        }

        var report = kernel.Kernel.Machine.Accounts.Current;
        var failing = pass.Current!;
        yield return new PhaseMark(PhaseRecovering);
        var recovery = new Recovery(kernel);
        foreach (var site in sites) yield return KernelStep.Call(recovery.RemoveBreakpoint(site));
        kernel.Failure = new(pass.Error, report, pass.Count, failing.Address, recovery.IsComplete);
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

    private sealed class Recovery(PatchContext kernel)
    {
        /// <summary>False once an INT3 has been left where it was found. The kernel did not look at this.</summary>
        public bool IsComplete { get; private set; } = true;

        /// <summary>remove_breakpoint(): puts the first byte of nop or call back where the rest of it stands.</summary>
        public IEnumerable<KernelStep> RemoveBreakpoint(PatchSite site)
        {
            var actual = kernel.ProbeKernelRead(site.Address, site.Length);
            yield return actual;
            if (actual.Error != 0 || actual.Bytes[0] != BreakpointState.Int3) yield break;

            var first = FtracePasses.FirstByteFor(actual.Bytes[1..], site);
            if (first.IsEmpty)
            {
                IsComplete = false;
                yield break;
            }

            var write = kernel.ProbeKernelWrite(site.Address, first, TextMapping.Direct);
            yield return write;
            if (write.Error != 0) IsComplete = false;
        }
    }
}
