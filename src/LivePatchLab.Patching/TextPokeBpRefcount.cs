using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P10, a count of handlers in place of the fourth sync: text_poke_bp_batch() of Linux 5.6 to 5.19 (commit 1f676247f36a). Handlers come to the array
/// through a pointer to a descriptor on the patcher's stack, and hold a reference while they use it.
/// </summary>
/// <remarks>
///   patcher                                    any other CPU
///   desc = { tp, nr, refs = 1 }; bp_desc = its address (release); wmb
///   ...the three steps of P8...
///   bp_desc = NULL
///   refs--, wait until it is 0                 a handler that has its reference is waited for
///   return                                     one that only has the pointer is not: bug B10
/// The bug, at an INT3 of somebody else:
///                                              desc = bp_desc
///   bp_desc = NULL; refs 1 -> 0; return
///   the next call writes 7 over refs
///                                              refs 7 -> 8, which is not 0: goes on with what lies there
/// </remarks>
[KernelName("text_poke_bp_batch", File = "arch/x86/kernel/alternative.c", Version = "v5.6")]
public sealed class TextPokeBpRefcount : IPatchProtocol
{
    /// <summary>rel_addr, rel32, opcode, text[5], old: 16 bytes with their padding, so that a page holds 256 locations.</summary>
    public const int LocationBytes = 16;

    public string Name => "text_poke_bp_refcount";

    public string Summary => "P10, Linux 5.6: pages of 256; handlers count themselves in a descriptor on the patcher's stack";

    public bool MaySkip => false;

    public Invariants PromisesUnder(FetchModel model) => PromisesOfRefcounts(model);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(kernel);

    /// <summary>What emulating protocols promise whose handlers hold references: the array is theirs whatever the gate, the first look at it is not.</summary>
    internal static Invariants PromisesOfRefcounts(FetchModel model)
        => Promises.OfThreeSyncs(model) | Promises.OfDrainedHandlers(model, Invariants.TrapsAreConsumed | Invariants.EffectIsOldOrNew)
            | Invariants.DescriptorOutlivesHandlers | Invariants.WaitsWithInterruptsOn | Invariants.ForeignInt3Survives | Invariants.ArrayIsSorted;

    /// <summary>struct bp_patching_desc, a local variable of text_poke_bp_batch().</summary>
    private sealed class BpPatchingDesc(LinuxKernel kernel, TextPokeLoc[] tp) : StackFrame(kernel, "text_poke_bp_batch")
    {
        /// <summary>What the next call happens to leave in these words.</summary>
        private const int Garbage = 7;

        /// <summary>Null stands for the garbage: no array is there.</summary>
        public KernelVariable<TextPokeLoc[]?> Vec { get; } = new("desc.vec", tp);

        public KernelVariable<int> NrEntries { get; } = new("desc.nr_entries", tp.Length);

        public KernelVariable<int> Refs { get; } = new("desc.refs", 1);

        public override string ToString() => "desc, on the stack";

        protected override IEnumerable<KernelStep> Overwrite()
        {
            yield return Refs.Store(Garbage);
            yield return NrEntries.Store(Garbage);
            yield return Vec.Store(null);
        }
    }

    private sealed class Patcher : IPatcher
    {
        private readonly LinuxKernel _kernel;
        private readonly KernelVariable<BpPatchingDesc?> _bpDesc = new("bp_desc", null);
        private readonly Int3Emulation _emulation;

        public Patcher(LinuxKernel kernel)
        {
            _kernel = kernel;
            _emulation = new(kernel);
            kernel.RegisterInt3Handler(PokeInt3Handler);
        }

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
            => new TextPokeVector(kernel, TextPokeVector.PageBytes / LocationBytes, TextPokeLoc.ToEmulate, tp => Batch(kernel, tp)).PokeAll(sites);

        private IEnumerable<KernelStep> Batch(PatchContext kernel, TextPokeLoc[] tp)
        {
            var desc = new BpPatchingDesc(_kernel, tp);
            yield return _bpDesc.Store(desc);
            yield return Fence.Write;
            yield return KernelStep.Call(TextPokeSteps.Three(kernel, tp));

            yield return new PhaseMark(TextPokePhase.Clearing);
            yield return _bpDesc.Store(null);
            yield return KernelStep.Call(Refcount.DropAndWait(desc.Refs));
            yield return KernelStep.Call(desc.Return());
        }

        private IEnumerable<KernelStep> PokeInt3Handler(Cpu cpu, TrapFrame regs)
        {
            yield return Fence.Read;
            var pointer = _bpDesc.Load();
            yield return pointer;
            if (pointer.Value is not { } desc) yield break;

            desc.NoteUse(cpu, "desc.refs");
            var get = new Refcount.Get();
            yield return get.From(desc.Refs);
            if (!get.Succeeded) yield break;

            desc.NoteUse(cpu, "desc.nr_entries");
            var nrEntries = desc.NrEntries.Load();
            yield return nrEntries;
            desc.NoteUse(cpu, "desc.vec");
            var vec = desc.Vec.Load();
            yield return vec;
            if (vec.Value is { } tp) yield return KernelStep.Call(_emulation.Handle(cpu, regs, tp, nrEntries.Value));
            else yield return _kernel.RaiseBug($"poke_int3_handler: page fault on {cpu.Id}: bp_desc led to a stack frame that is gone, and its vec is garbage", BugKind.DanglingPointer);

            desc.NoteUse(cpu, "desc.refs");
            yield return Fence.Full;
            yield return Refcount.Put(desc.Refs);
        }
    }
}
