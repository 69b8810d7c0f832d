using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// Native Client's replacement of dynamic code (CopyInstruction of native_client/src/trusted/service_runtime/nacl_copy_code.c): HLT as the guard, for
/// code at privilege level 3, where executing it is #GP. Most changes never need the guard: what is equal at both ends is left out, and what then lies
/// in one aligned word is one store.
/// </summary>
/// <remarks>
///   patcher                                        thread of a program
///   all that differs lies in one aligned 8 bytes:
///     one store
///   else
///     [0] = hlt; serialise all (mprotect's IPIs)   from here on: #GP, and it dies unless the runtime handles that
///     [1..] = new; serialise all
///     [0] = new                                    nobody serialises for this: the guard may be met after the return
/// </remarks>
/// <param name="catchesGuard">The runtime handles the #GP of the guard and has the thread try again; Native Client's own does not.</param>
[KernelName("CopyInstruction", File = "native_client/src/trusted/service_runtime/nacl_copy_code.c")]
public sealed class NaClDyncode(bool catchesGuard = false) : IPatchProtocol
{
    public const byte Halt = 0xf4;
    public const string PhaseStore = "one store";
    public const string PhaseGuard = "hlt";
    public const string PhaseTail = "all but the first byte";
    public const string PhaseFirstByte = "first byte";

    /// <summary>The largest store that Native Client trusts to be whole, and what no store of its may cross: AMD's word.</summary>
    private const int WordBytes = 8;

    public string Name => "nacl_dyncode";

    public string Summary => "Native Client: one aligned store where that is enough, else a guard of HLT with two syncs";

    public bool MaySkip => false;

    /// <remarks>Nothing where a word may be torn, or a sync leaves it as it was. A thread that meets the guard has neither the old effect nor the new, unless somebody catches it.</remarks>
    public Invariants PromisesUnder(FetchModel model)
    {
        if (!Promises.SyncReaches(model) || (model.AtomicChunkBytes < WordBytes && model.RemoteSnoop != RemoteSnoop.FlushAll)) return Invariants.WaitsWithInterruptsOn;
        return Invariants.NothingTorn | Invariants.WaitsWithInterruptsOn | (catchesGuard ? Invariants.EffectIsOldOrNew : Invariants.None);
    }

    public IPatcher Attach(LinuxKernel kernel)
    {
        var patcher = new Patcher();
        if (catchesGuard) kernel.Machine.SetTrapHandler(TrapVector.GeneralProtection, patcher.RetryGuard);
        return patcher;
    }

    private sealed class Patcher : IPatcher
    {
        private readonly HashSet<GuestAddress> _guarded = [];

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            var done = 0;
            foreach (var site in sites)
            {
                yield return kernel.NextRecord();
                if (site.NewCode is not null)
                {
                    yield return KernelStep.Call(CopyInstruction(kernel, site, site.NewCode, done));
                    if (kernel.Failure is not null) yield break;
                }

                site.IsFinished = true;
                done++;
            }
        }

        /// <summary>#GP: back to the instruction, which may be the guard still.</summary>
        public IEnumerable<KernelStep> RetryGuard(Cpu cpu, TrapFrame regs)
        {
            yield return new Delay(cpu.Machine.Costs.BreakpointHandler, "retry");
            regs.Consumed = _guarded.Contains(regs.Rip);
        }

        private IEnumerable<KernelStep> CopyInstruction(PatchContext kernel, PatchSite site, byte[] code, int done)
        {
            var (start, length) = Difference(site.OldCode, code);
            if (length == 0) yield break;
            if (!(site.Address + start).Straddles(length, WordBytes))
            {
                yield return new PhaseMark(PhaseStore);
                yield return KernelStep.Call(Write(kernel, site, start, code.AsMemory(start, length), PhaseStore, done));
                yield break;
            }

            site.Guard = new byte[] { Halt };
            _guarded.Add(site.Address);
            yield return new PhaseMark(PhaseGuard);
            yield return KernelStep.Call(Write(kernel, site, 0, site.Guard, PhaseGuard, done));
            if (kernel.Failure is not null) yield break;
            yield return kernel.RunSync();

            yield return new PhaseMark(PhaseTail);
            yield return KernelStep.Call(Write(kernel, site, 1, code.AsMemory(1), PhaseTail, done));
            if (kernel.Failure is not null) yield break;
            yield return kernel.RunSync();

            yield return new PhaseMark(PhaseFirstByte);
            yield return KernelStep.Call(Write(kernel, site, 0, code.AsMemory(0, 1), PhaseFirstByte, done));
        }

        private static IEnumerable<KernelStep> Write(PatchContext kernel, PatchSite site, int offset, ReadOnlyMemory<byte> code, string phase, int done)
        {
            var write = kernel.ProbeKernelWrite(site.Address + offset, code, TextMapping.IdentityAlias);
            yield return write;
            if (write.Error != 0) kernel.Failure = new(write.Error, phase, done, site.Address, Recovered: phase is PhaseStore or PhaseGuard);
        }

        /// <summary>What lies between the equal beginning and the equal end.</summary>
        private static (int Start, int Length) Difference(byte[] oldCode, byte[] newCode)
        {
            var start = oldCode.AsSpan().CommonPrefixLength(newCode);
            var end = oldCode.Length;
            while (end > start && oldCode[end - 1] == newCode[end - 1]) end--;
            return (start, end - start);
        }
    }
}
