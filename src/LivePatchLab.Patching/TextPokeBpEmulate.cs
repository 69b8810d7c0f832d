using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P7, no call is lost: text_poke_bp() of Linux 5.5 (arch/x86/kernel/alternative.c, commit c3d6324f841b), a site at a time. Who traps there gets the
/// effect of the instruction that is being written, so that static calls and, by the queue, ftrace can use it.
/// </summary>
/// <remarks>
///   patcher                                    any other CPU
///   bp_patching = { tp, 1 }; wmb
///   site[0]   = int3;                sync      from here on: traps, and the handler does what the new instruction will do
///   site[1..] = new, if it has more; sync
///   site[0]   = new, unless int3;    sync      nobody can trap here any more
///   vec = NULL; nr_entries = 0                 bug B09, as in 5.3; and here the array is a local variable
/// </remarks>
[KernelName("text_poke_bp", File = "arch/x86/kernel/alternative.c", Version = "v5.5")]
public sealed class TextPokeBpEmulate : IPatchProtocol
{
    /// <summary>What the entry code of #BP leaves free; with 0 it is a control, bug B18.</summary>
    public int EntryStackGapBytes { get; init; } = Int3Emulation.EntryStackGapBytes;

    public string Name => EntryStackGapBytes == Int3Emulation.EntryStackGapBytes ? "text_poke_bp_emulate" : $"text_poke_bp_emulate with an entry stack gap of {EntryStackGapBytes} bytes";

    public string Summary => "P7, Linux 5.5: site by site; the handler emulates the instruction that is being written";

    public bool MaySkip => false;

    public Invariants PromisesUnder(FetchModel model) => PromisesOfFlags(model);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(kernel, EntryStackGapBytes);

    /// <summary>What emulating protocols promise whose handlers know by a count that something is patched, and are drained by a sync.</summary>
    internal static Invariants PromisesOfFlags(FetchModel model)
        => Promises.OfThreeSyncs(model)
            | Promises.OfDrainedHandlers(model, Invariants.TrapsAreConsumed | Invariants.DescriptorOutlivesHandlers | Invariants.EffectIsOldOrNew)
            | Invariants.WaitsWithInterruptsOn | Invariants.ForeignInt3Survives | Invariants.ArrayIsSorted;

    private sealed class Patcher : IPatcher
    {
        private readonly BpPatching _bpPatching;
        private readonly Int3Emulation _emulation;

        public Patcher(LinuxKernel kernel, int entryStackGapBytes)
        {
            _bpPatching = new(kernel);
            _emulation = new(kernel, entryStackGapBytes);
            kernel.RegisterInt3Handler(PokeInt3Handler);
        }

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
            => new TextPokeVector(kernel, locationsMax: 1, TextPokeLoc.ToEmulate, tp => Batch(kernel, tp)).PokeAll(sites);

        private IEnumerable<KernelStep> Batch(PatchContext kernel, TextPokeLoc[] tp)
        {
            yield return KernelStep.Call(_bpPatching.Publish(tp));
            yield return KernelStep.Call(TextPokeSteps.Three(kernel, tp));
            yield return KernelStep.Call(_bpPatching.ClearArrayFirst());
        }

        private IEnumerable<KernelStep> PokeInt3Handler(Cpu cpu, TrapFrame regs)
            => _bpPatching.WithArray(cpu, (vec, entries) => _emulation.Handle(cpu, regs, vec, entries));
    }
}
