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
        => Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.TailBehindInt3 | Invariants.FirstByteLast | Invariants.NewAfterReturn | Invariants.WaitsWithInterruptsOn;

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(kernel);

    private sealed class Patcher : IPatcher
    {
        private readonly KernelVariable<int> _modifyingFtraceCode = new("modifying_ftrace_code", 0);
        private readonly HashSet<GuestAddress> _locations = [];

        public Patcher(LinuxKernel kernel) => kernel.RegisterInt3Handler(FtraceInt3Handler);

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            // ftrace_location() knows every traced function, not only those of this operation.
            foreach (var site in sites) _locations.Add(site.Address);

            yield return _modifyingFtraceCode.Update("+ 1", n => n + 1);
            yield return KernelStep.Call(ReplaceCode(kernel, sites));
            yield return _modifyingFtraceCode.Update("- 1", n => n - 1);
        }

        private IEnumerable<KernelStep> ReplaceCode(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            // The count is not set back between the passes: so v3.10 reports it.
            var pass = new Pass(kernel);

            yield return new PhaseMark(PhaseAdding);
            yield return KernelStep.Call(pass.ForEach(sites, pass.AddBreakpoints));
            if (pass.Error == 0)
            {
                yield return KernelStep.Call(RunSync(kernel));
                yield return new PhaseMark(PhaseUpdating);
                yield return KernelStep.Call(pass.ForEach(sites, pass.AddUpdate));
            }

            if (pass.Error == 0)
            {
                yield return KernelStep.Call(RunSync(kernel));
                yield return new PhaseMark(PhaseFinishing);
                yield return KernelStep.Call(pass.ForEach(sites, pass.FinishUpdate));
            }

            if (pass.Error == 0)
            {
                yield return KernelStep.Call(RunSync(kernel));
                yield break;
            }

            var report = kernel.Kernel.Machine.Accounts.Current;
            var failing = pass.Current!;
            yield return new PhaseMark(PhaseRecovering);
            var recovered = true;
            foreach (var site in sites)
            {
                yield return KernelStep.Call(pass.RemoveBreakpoint(site));
                recovered &= !pass.LeftBreakpoint;
            }

            kernel.Failure = new(pass.Error, report, pass.Count, failing.Address, recovered);
        }

        /// <summary>ftrace's run_sync(): at boot it is called with interrupts off, and nobody may wait for IPIs like that.</summary>
        private static IEnumerable<KernelStep> RunSync(PatchContext kernel)
        {
            var interruptsWereOff = !kernel.Cpu.InterruptsEnabled;
            if (interruptsWereOff) yield return InterruptFlag.On;
            yield return kernel.RunSync();
            if (interruptsWereOff) yield return InterruptFlag.Off;
        }

        private IEnumerable<KernelStep> FtraceInt3Handler(Cpu cpu, TrapFrame regs)
        {
            var modifying = _modifyingFtraceCode.Load();
            yield return modifying;
            if (modifying.Value == 0) yield break;
            yield return new Delay((System.Numerics.BitOperations.Log2((uint)Math.Max(1, _locations.Count)) + 1) * cpu.Machine.Costs.LookupStep, "ftrace_location");
            if (!_locations.Contains(regs.Rip - 1)) yield break;
            regs.Rip += FtraceRecords.McountInsnSize - 1;
            regs.Consumed = true;
        }
    }

    private sealed class Pass(PatchContext kernel)
    {
        public int Error { get; private set; }

        public int Count { get; private set; }

        public PatchSite? Current { get; private set; }

        /// <summary>True when the last recovery has left an INT3 where it found one.</summary>
        public bool LeftBreakpoint { get; private set; }

        public IEnumerable<KernelStep> ForEach(IReadOnlyList<PatchSite> sites, Func<PatchSite, IEnumerable<KernelStep>> pass)
        {
            foreach (var site in sites)
            {
                Current = site;
                yield return kernel.NextRecord();
                yield return KernelStep.Call(pass(site));
                if (Error != 0) yield break;
                Count++;
            }
        }

        public IEnumerable<KernelStep> AddBreakpoints(PatchSite site)
        {
            if (site.IsFinished || site.NewCode is null) yield break;
            var actual = kernel.ProbeKernelRead(site.Address, site.Length);
            yield return actual;
            Error = actual.Error != 0 ? Errno.Efault : actual.Bytes.SequenceEqual(site.OldCode) ? 0 : Errno.Einval;
            if (Error != 0) yield break;
            var write = Write(site.Address, BreakpointState.Int3Opcode);
            yield return write;
            Error = write.Error != 0 ? Errno.Eperm : 0;
        }

        public IEnumerable<KernelStep> AddUpdate(PatchSite site)
        {
            if (site.IsFinished || site.NewCode is null) yield break;
            var write = Write(site.Address + 1, site.NewCode.AsMemory(1));
            yield return write;
            Error = write.Error != 0 ? Errno.Eperm : 0;
        }

        public IEnumerable<KernelStep> FinishUpdate(PatchSite site)
        {
            // The record changes first: a failing write leaves it wrong, as it did in the original.
            var isFinished = site.IsFinished;
            site.IsFinished = true;
            if (isFinished || site.NewCode is null) yield break;
            var write = Write(site.Address, site.NewCode.AsMemory(0, 1));
            yield return write;
            Error = write.Error != 0 ? Errno.Eperm : 0;
        }

        /// <summary>remove_breakpoint(): puts the first byte of nop or call back where the rest of it stands.</summary>
        public IEnumerable<KernelStep> RemoveBreakpoint(PatchSite site)
        {
            LeftBreakpoint = false;
            var actual = kernel.ProbeKernelRead(site.Address, site.Length);
            yield return actual;
            if (actual.Error != 0 || actual.Bytes[0] != BreakpointState.Int3) yield break;

            LeftBreakpoint = true;
            var first = FirstByteFor(actual.Bytes[1..], site);
            if (first.IsEmpty) yield break;
            var write = kernel.ProbeKernelWrite(site.Address, first, TextMapping.Direct);
            yield return write;
            LeftBreakpoint = write.Error != 0;
        }

        private static ReadOnlyMemory<byte> FirstByteFor(ReadOnlySpan<byte> tail, PatchSite site)
            => tail.SequenceEqual(site.OldCode.AsSpan(1)) ? site.OldCode.AsMemory(0, 1)
                : site.NewCode is not null && tail.SequenceEqual(site.NewCode.AsSpan(1)) ? site.NewCode.AsMemory(0, 1)
                : default;

        private ProbeKernelWrite Write(GuestAddress address, ReadOnlyMemory<byte> code) => kernel.ProbeKernelWrite(address, code, TextMapping.IdentityAlias);
    }
}
