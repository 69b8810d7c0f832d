using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P8, ftrace moves over: text_poke_queue() and text_poke_finish() of Linux 5.5 (arch/x86/kernel/alternative.c, commit 18cbc8bed0c7). Clients queue
/// sites in ascending order; a page that is full, or an address that does not ascend, has the page poked.
/// </summary>
/// <remarks>
///   patcher                                    any other CPU
///   each page: bp_patching = { tp, nr }; wmb
///     each: [0] = int3;              sync      from here on: traps, and the handler does what the new instruction will do
///     each: [1..] = new;             sync
///     each: [0] = new, unless int3;  sync      nobody can trap here any more
///     vec = NULL; nr_entries = 0               bug B09, as in 5.3
/// With 34,274 sites ftrace went from 120 IPIs a CPU to 657 (Rostedt, October 2019); three a page give 606.
/// </remarks>
[KernelName("text_poke_queue", File = "arch/x86/kernel/alternative.c", Version = "v5.5")]
public sealed class TextPokeQueue : IPatchProtocol
{
    /// <summary>addr, len, rel32, opcode, text[5]: 24 bytes with their padding, so that a page holds 170 locations.</summary>
    public const int LocationBytes = 24;

    public string Name => "text_poke_queue";

    public string Summary => "P8, Linux 5.5: sites queued in a page of 170, which is poked when it is full; emulating";

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
            => new TextPokeVector(kernel, TextPokeVector.PageBytes / LocationBytes, TextPokeLoc.ToEmulate, tp => Batch(kernel, tp)).PokeAll(sites);

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
