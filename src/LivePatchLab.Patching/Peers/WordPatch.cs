using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>What a CPU does that has hit the INT3 of a word patch.</summary>
public enum WordPatchHandler
{
    /// <summary>Returns to the instruction, to find INT3 again or what has replaced it. Interrupts come in between.</summary>
    Retry,

    /// <summary>Waits inside the handler, with interrupts as the handler has them, until the INT3 is gone; LiteInst's own.</summary>
    Spin,
}

/// <summary>
/// LiteInst's word patch (Chamith, Svensson, Dalessandro and Newton, "Living on the edge: rapid-toggling probes with cross-modification on x86", PLDI 2016;
/// libpointpatch/src/patcher.c). No CPU is interrupted: the protocol waits for as long as an instruction may at most be stale.
/// </summary>
/// <remarks>
/// An instruction inside one cache line is one store, and that is all. One that straddles:
///   patcher                                any other CPU
///   cmpxchg [0]: not int3 -> int3          from here on: traps, and waits until the int3 is gone
///   wait T                                 nobody has the old front any more, if T is long enough
///   [back] = new, one store
///   wait T                                 nobody has the old back any more
///   [front] = new, one store
/// All rests on T: where a CPU may keep what it has fetched for longer, it joins new front and old back. The other patcher of the same instruction
/// fails at the cmpxchg. The stores are of eight bytes; those that belong to neighbours are written as they were, which no fetch can tell.
/// </remarks>
/// <param name="waitCycles">T; LiteInst waits 2000 turns of a loop.</param>
/// <param name="boundaryBytes">What a store that is atomic must not cross: a cache line on Intel's processors, 8 bytes on AMD's.</param>
/// <param name="handler">What a CPU does that hits the INT3.</param>
[KernelName("patch_64", File = "libpointpatch/src/patcher.c of LiteInst")]
public sealed class WordPatch(long waitCycles = WordPatch.LiteInstWaitCycles, int boundaryBytes = 64, WordPatchHandler handler = WordPatchHandler.Spin) : IPatchProtocol
{
    public const long LiteInstWaitCycles = 2000;
    public const string PhaseInt3 = "int3";
    public const string PhaseBack = "back word";
    public const string PhaseFront = "front word";
    public const string PhaseWhole = "whole word";

    public string Name => "word_patch";

    public string Summary => "LiteInst (2016): one store, or int3, back and front where a line is straddled; waits instead of syncs";

    public bool MaySkip => false;

    /// <remarks>
    /// A store is whole for a fetch only where a chunk is as large as what it must not cross, and a wait does something only where staleness ends
    /// within it. After the return the front, or the one store, may be stale still.
    /// </remarks>
    public Invariants PromisesUnder(FetchModel model)
    {
        if (model.RemoteSnoop == RemoteSnoop.FlushAll) return Kept | Invariants.NewAfterReturn;
        return model.AtomicChunkBytes >= boundaryBytes && model.StalenessBoundCycles <= waitCycles ? Kept : Invariants.WaitsWithInterruptsOn;
    }

    private static Invariants Kept => Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.EffectIsOldOrNew | Invariants.WaitsWithInterruptsOn;

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(kernel, waitCycles, boundaryBytes, handler);

    private sealed class Patcher : IPatcher
    {
        private readonly long _waitCycles;
        private readonly int _boundaryBytes;
        private readonly WordPatchHandler _handler;
        private readonly LinuxKernel _kernel;
        private readonly HashSet<GuestAddress> _patched = [];
        private readonly KernelVariable<GuestAddress?> _guarded = new("word_patch.guarded", null);

        public Patcher(LinuxKernel kernel, long waitCycles, int boundaryBytes, WordPatchHandler handler)
        {
            (_kernel, _waitCycles, _boundaryBytes, _handler) = (kernel, waitCycles, boundaryBytes, handler);
            kernel.RegisterInt3Handler(Int3Handler);
        }

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            var done = 0;
            foreach (var site in sites)
            {
                yield return kernel.NextRecord();
                if (site.NewCode is not null)
                {
                    _patched.Add(site.Address);
                    yield return KernelStep.Call(site.Address.Straddles(site.Length, _boundaryBytes) ? PatchStraddler(kernel, site, done) : PatchWhole(kernel, site, done));
                    if (kernel.Failure is not null) yield break;
                }

                site.IsFinished = true;
                done++;
            }
        }

        private static IEnumerable<KernelStep> PatchWhole(PatchContext kernel, PatchSite site, int done)
        {
            yield return new PhaseMark(PhaseWhole);
            var store = kernel.ProbeKernelWrite(site.Address, site.NewCode, TextMapping.IdentityAlias);
            yield return store;
            if (store.Error != 0) kernel.Failure = new(store.Error, PhaseWhole, done, site.Address, Recovered: true);
        }

        private IEnumerable<KernelStep> PatchStraddler(PatchContext kernel, PatchSite site, int done)
        {
            var boundary = site.Address.AlignDown(_boundaryBytes) + _boundaryBytes;
            var frontLength = (int)(boundary - site.Address);

            yield return new PhaseMark(PhaseInt3);
            yield return _guarded.Store(site.Address);
            var guard = new CompareExchangeText(kernel.Kernel, site.Address, seen => seen != BreakpointState.Int3, BreakpointState.Int3);
            yield return guard;
            if (guard.Error != 0)
            {
                kernel.Failure = new(guard.Error, PhaseInt3, done, site.Address, Recovered: true);
                yield return _guarded.Store(null);
                yield break;
            }

            yield return new Delay(_waitCycles, "wait T");
            yield return new PhaseMark(PhaseBack);
            var back = kernel.ProbeKernelWrite(boundary, site.NewCode.AsMemory(frontLength), TextMapping.IdentityAlias);
            yield return back;
            yield return new Delay(_waitCycles, "wait T");
            yield return new PhaseMark(PhaseFront);

            // Where the back could not be written, the old front belongs to the old back.
            var front = kernel.ProbeKernelWrite(site.Address, back.Error == 0 ? site.NewCode.AsMemory(0, frontLength) : (byte[])[guard.Seen], TextMapping.IdentityAlias);
            yield return front;
            if (back.Error != 0 || front.Error != 0)
                kernel.Failure = new(back.Error != 0 ? back.Error : front.Error, back.Error != 0 ? PhaseBack : PhaseFront, done, site.Address, Recovered: front.Error == 0);
            yield return _guarded.Store(null);
        }

        private IEnumerable<KernelStep> Int3Handler(Cpu cpu, TrapFrame regs)
        {
            var address = regs.Rip - 1;
            if (!_patched.Contains(address)) yield break;
            var guarded = _guarded.Load();
            yield return guarded;
            if (guarded.Value != address)
            {
                // The INT3 may be one that was fetched long ago, or somebody else's that stands there now.
                var text = new ProbeKernelRead(_kernel, address, 1);
                yield return text;
                if (text.Error != 0 || text.Bytes[0] == BreakpointState.Int3) yield break;
            }
            else if (_handler == WordPatchHandler.Spin)
            {
                yield return _guarded.SpinUntil("shows the int3 gone", a => a != address);
            }

            regs.Rip = address;
            regs.Consumed = true;
        }
    }
}
