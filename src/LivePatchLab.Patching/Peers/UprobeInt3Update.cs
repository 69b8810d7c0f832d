using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// U1, optimised uprobes: int3_update() of arch/x86/kernel/uprobes.c (Jiri Olsa, "uprobes: Add support to optimize usdt probes on x86_64", July 2025). The
/// probe's INT3 stands on a five-byte nop of a program already; the call that replaces both is written around it.
/// </summary>
/// <remarks>
///   patcher, nop to call                 thread of the program
///   [0] is int3 already: sync            traps: its uprobe sees the hit, and the nop is skipped
///   [1..] = new; sync
///   [0]   = call; sync                   calls the trampoline; nobody can trap any more
///   call to nop: first [0] = int3, which must find the call there
/// Every write first makes sure that the byte in front is what it must be; if not, nothing more is written, and the uprobe stays the plain one that it
/// was. The INT3 that remains is what the trap's owner expects.
/// </remarks>
[KernelName("int3_update", File = "arch/x86/kernel/uprobes.c", Version = "v6.18")]
public sealed class UprobeInt3Update : IPatchProtocol
{
    public const string PhaseInt3 = "int3";
    public const string PhaseTail = "all but the first byte";
    public const string PhaseFirstByte = "first byte";

    private const int CodeBytes = 5;

    public string Name => "uprobe_int3_update";

    public string Summary => "U1, Linux 6.18: around the INT3 of a uprobe; sync, tail, sync, first byte, sync; each write looks first";

    public bool MaySkip => true;

    /// <remarks>The handler goes by no state that a later operation clears, so traps are consumed whatever the gate; the rest is as good as sync_core() is.</remarks>
    public Invariants PromisesUnder(FetchModel model)
        => Promises.OfThreeSyncs(model) | Invariants.TrapsAreConsumed | Invariants.WaitsWithInterruptsOn;

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(kernel);

    private sealed class Patcher : IPatcher
    {
        private readonly HashSet<GuestAddress> _uprobes = [];

        public Patcher(LinuxKernel kernel) => kernel.RegisterInt3Handler(HandleSwbp);

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            var done = 0;
            foreach (var site in sites)
            {
                yield return kernel.NextRecord();
                if (site.NewCode is not null)
                {
                    _uprobes.Add(site.Address);
                    yield return KernelStep.Call(Int3Update(kernel, site, site.NewCode, done));
                    if (kernel.Failure is not null) yield break;
                }

                site.IsFinished = true;
                done++;
            }
        }

        private static IEnumerable<KernelStep> Int3Update(PatchContext kernel, PatchSite site, byte[] code, int done)
        {
            yield return new PhaseMark(PhaseInt3);
            if (site.Length != CodeBytes || site.Address.Straddles(CodeBytes, GuestMemory.PageBytes))
            {
                kernel.Failure = new(Errno.Einval, PhaseInt3, done, site.Address, Recovered: true);
                yield break;
            }

            if (site.OldCode[0] != BreakpointState.Int3)
            {
                yield return KernelStep.Call(VerifyAndWrite(kernel, site, site.OldCode[0], 0, BreakpointState.Int3Opcode, PhaseInt3, done));
                if (kernel.Failure is not null) yield break;
            }

            yield return kernel.RunSync();
            yield return new PhaseMark(PhaseTail);
            yield return KernelStep.Call(VerifyAndWrite(kernel, site, BreakpointState.Int3, 1, code.AsMemory(1), PhaseTail, done));
            if (kernel.Failure is not null) yield break;
            yield return kernel.RunSync();

            yield return new PhaseMark(PhaseFirstByte);
            if (code[0] == BreakpointState.Int3) yield break;
            yield return KernelStep.Call(VerifyAndWrite(kernel, site, BreakpointState.Int3, 0, code.AsMemory(0, 1), PhaseFirstByte, done));
            if (kernel.Failure is not null) yield break;
            yield return kernel.RunSync();
        }

        private static IEnumerable<KernelStep> VerifyAndWrite(PatchContext kernel, PatchSite site, byte expected, int offset, ReadOnlyMemory<byte> code, string phase, int done)
        {
            var first = kernel.ProbeKernelRead(site.Address, 1);
            yield return first;
            var error = first.Error != 0 ? first.Error : first.Bytes[0] != expected ? Errno.Einval : 0;
            if (error == 0)
            {
                var poke = kernel.TextPoke(site.Address + offset, code);
                yield return poke;
                error = poke.Error;
            }

            if (error != 0) kernel.Failure = new(error, phase, done, site.Address, Recovered: false);
        }

        /// <summary>handle_swbp(): the nop under the INT3 is emulated, by going on behind it.</summary>
        private IEnumerable<KernelStep> HandleSwbp(Cpu cpu, TrapFrame regs)
        {
            yield return new Delay(cpu.Machine.Costs.LookupStep, "find_active_uprobe");
            if (!_uprobes.Contains(regs.Rip - 1)) yield break;
            regs.Rip += CodeBytes - 1;
            regs.Consumed = true;
        }
    }
}
