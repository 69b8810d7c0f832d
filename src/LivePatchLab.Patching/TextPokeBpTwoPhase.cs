using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P9, B09 mended by a fourth sync: text_poke_bp_batch() with commit 285a54efe386 (27 November 2019, Linux 5.5). First nobody new comes to the array,
/// then those who had come are waited for, then it goes.
/// </summary>
/// <remarks>
///   patcher                                    any other CPU, at an INT3 of somebody else
///   ...the three steps of P8...
///   nr_entries = 0;                  sync      who had read another count is done before it answers: interrupts are off in #BP
///   vec = NULL
/// Two syncs follow one another directly: "a little daft", said Zijlstra on 2 December, and had P10 ready in a week.
/// </remarks>
[KernelName("text_poke_bp_batch", File = "arch/x86/kernel/alternative.c", Version = "v5.5, commit 285a54efe386")]
public sealed class TextPokeBpTwoPhase : IPatchProtocol
{
    public string Name => "text_poke_bp_two_phase";

    public string Summary => "P9, November 2019: as P8, and a fourth sync between taking away the count and the array";

    public bool MaySkip => false;

    public Invariants PromisesUnder(FetchModel model) => TextPokeBpEmulate.PromisesOfFlags(model);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(kernel);

    private sealed class Patcher : IPatcher
    {
        private readonly BpPatching _bpPatching;
        private readonly Int3Emulation _emulation;

        public Patcher(LinuxKernel kernel)
        {
            _bpPatching = new(kernel);
            _emulation = new(kernel);
            kernel.RegisterInt3Handler(PokeInt3Handler);
        }

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
            => new TextPokeVector(kernel, TextPokeVector.PageBytes / TextPokeQueue.LocationBytes, TextPokeLoc.ToEmulate, tp => Batch(kernel, tp)).PokeAll(sites);

        private IEnumerable<KernelStep> Batch(PatchContext kernel, TextPokeLoc[] tp)
        {
            yield return KernelStep.Call(_bpPatching.Publish(tp));
            yield return KernelStep.Call(TextPokeSteps.Three(kernel, tp));
            yield return new PhaseMark(TextPokePhase.Clearing);
            yield return _bpPatching.NrEntries.Store(0);
            yield return kernel.RunSync();
            yield return _bpPatching.Vec.Store(null);
        }

        private IEnumerable<KernelStep> PokeInt3Handler(Cpu cpu, TrapFrame regs)
            => _bpPatching.WithArray(cpu, (vec, entries) => _emulation.Handle(cpu, regs, vec, entries));
    }
}
