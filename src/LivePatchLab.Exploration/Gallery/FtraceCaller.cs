using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>What ftrace's #BP handler knows of the calls inside its own trampolines.</summary>
internal enum CallerLookup
{
    /// <summary>Only traced functions are known: bug B06.</summary>
    Nobody,

    /// <summary>The one that is being changed, by a variable: Linux 3.15, and bug B03.</summary>
    Latest,

    /// <summary>Each that is ever changed, by its address: Linux 3.10.</summary>
    Each,
}

/// <summary>
/// ftrace_update_ftrace_func() (arch/x86/kernel/ftrace.c): the calls ftrace_call and ftrace_regs_call inside ftrace's trampolines, one after the other,
/// each by INT3, tail and first byte.
/// </summary>
/// <remarks>
///   patcher                                    any other CPU
///   ftrace_update_func = &amp;ftrace_call; wmb
///   int3; sync; tail; sync; first byte; sync   a trap is ftrace's where the handler's look-up says so
///   ftrace_update_func = &amp;ftrace_regs_call; wmb
///   ...
/// modifying_ftrace_code is up all the while: ftrace_modify_all_code() goes on with the functions. So it does not come down here.
/// </remarks>
internal sealed class FtraceCaller(CallerLookup lookup) : IPatchProtocol
{
    public string Name => $"ftrace_update_ftrace_func, whose handler knows {lookup switch { CallerLookup.Nobody => "no trampoline", CallerLookup.Latest => "the latest call", _ => "each call" }}";

    public string Summary => "ftrace's own calls, one after the other";

    public bool MaySkip => true;

    public Invariants PromisesUnder(FetchModel model) => Promises.OfThreeSyncs(model) | Invariants.TrapsAreConsumed;

    public IPatcher Attach(LinuxKernel kernel)
    {
        var ftrace = new Patcher(lookup);
        kernel.RegisterInt3Handler(ftrace.FtraceInt3Handler);
        return ftrace;
    }

    private sealed class Patcher(CallerLookup lookup) : IPatcher
    {
        private readonly KernelVariable<int> _modifyingFtraceCode = new("modifying_ftrace_code", 1);
        private readonly KernelVariable<GuestAddress> _ftraceUpdateFunc = new("ftrace_update_func", default);
        private readonly HashSet<GuestAddress> _calls = [];

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            foreach (var site in sites) _calls.Add(site.Address);
            foreach (var site in sites)
            {
                yield return _ftraceUpdateFunc.Store(site.Address);
                yield return Fence.Write;
                yield return kernel.TextPoke(site.Address, BreakpointState.Int3Opcode);
                yield return kernel.RunSync();
                yield return kernel.TextPoke(site.Address + 1, site.NewCode.AsMemory(1));
                yield return kernel.RunSync();
                yield return kernel.TextPoke(site.Address, site.NewCode.AsMemory(0, 1));
                yield return kernel.RunSync();
                site.IsFinished = true;
            }
        }

        public IEnumerable<KernelStep> FtraceInt3Handler(Cpu cpu, TrapFrame regs)
        {
            var modifying = _modifyingFtraceCode.Load();
            yield return modifying;
            if (modifying.Value == 0) yield break;
            if (lookup == CallerLookup.Nobody) yield break;
            if (lookup == CallerLookup.Latest)
            {
                var latest = _ftraceUpdateFunc.Load();
                yield return latest;
                if (regs.Rip - 1 != latest.Value) yield break;
            }
            else if (!_calls.Contains(regs.Rip - 1))
            {
                yield break;
            }

            regs.Rip += FtraceRecords.McountInsnSize - 1;
            regs.Consumed = true;
        }
    }
}

/// <summary>
/// Bug B07, how ftrace changed the calls inside its trampolines until Linux 3.5 (mended by 8a4d0a687a59): all five bytes by one ordinary write, while
/// other CPUs execute them.
/// </summary>
internal sealed class FtraceCallerDirect : IPatchProtocol, IPatcher
{
    public string Name => "ftrace_modify_code_direct";

    public string Summary => "ftrace's own calls, each by one write of five bytes";

    public bool MaySkip => false;

    public Invariants PromisesUnder(FetchModel model) => Invariants.NothingTorn | Invariants.NewAfterReturn;

    public IPatcher Attach(LinuxKernel kernel) => this;

    public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
    {
        foreach (var site in sites)
        {
            yield return kernel.ProbeKernelWrite(site.Address, site.NewCode, TextMapping.IdentityAlias);
            yield return kernel.RunSync();
            site.IsFinished = true;
        }
    }
}
