using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P12, a count for each CPU: text_poke_bp_batch() with commit 4334336e769b (Linux 6.16). While hundreds of sites were patched on 480 CPUs, every #BP
/// had drawn the one line of P11's count over to its CPU (Dumazet, 2025); now a handler touches its own.
/// </summary>
/// <remarks>
///   patcher                                    any other CPU
///   bp_desc = { tp, nr }
///   each CPU: its refs = 1 (release); wmb
///   ...the three steps of P8...
///   each CPU: its refs--, wait until 0         a handler has its reference of its own CPU
/// </remarks>
[KernelName("text_poke_bp_batch", File = "arch/x86/kernel/alternative.c", Version = "v6.16, commit 4334336e769b")]
public sealed class TextPokeBpPerCpuRefs : IPatchProtocol
{
    public string Name => "text_poke_bp_per_cpu_refs";

    public string Summary => "P12, Linux 6.16: as P11, with a count of references for each CPU";

    public bool MaySkip => false;

    public Invariants PromisesUnder(FetchModel model) => TextPokeBpRefcount.PromisesOfRefcounts(model);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(kernel);

    private sealed class Patcher : IPatcher
    {
        private readonly LinuxKernel _kernel;
        private readonly KernelVariable<TextPokeLoc[]?> _vec = new("bp_desc.vec", null);
        private readonly KernelVariable<int> _nrEntries = new("bp_desc.nr_entries", 0);
        private readonly PerCpuRefs _refs;
        private readonly Int3Emulation _emulation;

        public Patcher(LinuxKernel kernel)
        {
            _kernel = kernel;
            _refs = new("bp_refs", kernel.Machine.Cpus.Count);
            _emulation = new(kernel);
            kernel.RegisterInt3Handler(PokeInt3Handler);
        }

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
            => new TextPokeVector(kernel, TextPokeVector.PageBytes / TextPokeBpRefcount.LocationBytes, TextPokeLoc.ToEmulate, tp => Batch(kernel, tp)).PokeAll(sites);

        private IEnumerable<KernelStep> Batch(PatchContext kernel, TextPokeLoc[] tp)
        {
            yield return _vec.Store(tp);
            yield return _nrEntries.Store(tp.Length);
            yield return KernelStep.Call(_refs.SetAll());
            yield return Fence.Write;
            yield return KernelStep.Call(TextPokeSteps.Three(kernel, tp));

            yield return new PhaseMark(TextPokePhase.Clearing);
            yield return KernelStep.Call(_refs.DropAndWaitForAll());
        }

        private IEnumerable<KernelStep> PokeInt3Handler(Cpu cpu, TrapFrame regs)
        {
            yield return Fence.Read;
            var refs = _refs.Of(cpu);
            var get = new Refcount.Get();
            yield return get.From(refs);
            if (!get.Succeeded) yield break;

            var nrEntries = _nrEntries.Load();
            yield return nrEntries;
            var vec = _vec.Load();
            yield return vec;
            if (vec.Value is { } tp) yield return KernelStep.Call(_emulation.Handle(cpu, regs, tp, nrEntries.Value));
            else yield return _kernel.RaiseBug($"poke_int3_handler: NULL pointer dereference of bp_desc.vec on {cpu.Id}", BugKind.DanglingPointer);

            yield return Fence.Full;
            yield return Refcount.Put(refs);
        }
    }
}
