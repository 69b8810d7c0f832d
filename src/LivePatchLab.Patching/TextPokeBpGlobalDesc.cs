using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P11, B10 mended: text_poke_bp_batch() of Linux 6.0 to 6.14 (commit efd608fa7403). The descriptor is one global variable, so that its count of
/// references is a count at any time; a count of 0 means that there is nothing to be had.
/// </summary>
/// <remarks>
///   patcher                                    any other CPU
///   bp_desc.vec = tp; bp_desc.nr_entries = nr
///   bp_desc.refs = 1 (release); wmb
///   ...the three steps of P8...
///   refs--, wait until it is 0                 a handler gets a reference only where there is one
/// </remarks>
[KernelName("text_poke_bp_batch", File = "arch/x86/kernel/alternative.c", Version = "v6.0")]
public sealed class TextPokeBpGlobalDesc : IPatchProtocol
{
    public string Name => "text_poke_bp_global_desc";

    public string Summary => "P11, Linux 6.0: as P10, with one global descriptor";

    public bool MaySkip => false;

    public Invariants PromisesUnder(FetchModel model) => TextPokeBpRefcount.PromisesOfRefcounts(model);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(kernel);

    private sealed class Patcher : IPatcher
    {
        private readonly LinuxKernel _kernel;
        private readonly KernelVariable<TextPokeLoc[]?> _vec = new("bp_desc.vec", null);
        private readonly KernelVariable<int> _nrEntries = new("bp_desc.nr_entries", 0);
        private readonly KernelVariable<int> _refs = new("bp_desc.refs", 0);
        private readonly Int3Emulation _emulation;

        public Patcher(LinuxKernel kernel)
        {
            _kernel = kernel;
            _emulation = new(kernel);
            kernel.RegisterInt3Handler(PokeInt3Handler);
        }

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
            => new TextPokeVector(kernel, TextPokeVector.PageBytes / TextPokeBpRefcount.LocationBytes, TextPokeLoc.ToEmulate, tp => Batch(kernel, tp)).PokeAll(sites);

        private IEnumerable<KernelStep> Batch(PatchContext kernel, TextPokeLoc[] tp)
        {
            yield return _vec.Store(tp);
            yield return _nrEntries.Store(tp.Length);

            // A release store: whoever sees the count sees the array.
            yield return Fence.Write;
            yield return _refs.Store(1);
            yield return Fence.Write;
            yield return KernelStep.Call(TextPokeSteps.Three(kernel, tp));

            yield return new PhaseMark(TextPokePhase.Clearing);
            yield return KernelStep.Call(Refcount.DropAndWait(_refs));
        }

        private IEnumerable<KernelStep> PokeInt3Handler(Cpu cpu, TrapFrame regs)
        {
            yield return Fence.Read;
            var get = new Refcount.Get();
            yield return get.From(_refs);
            if (!get.Succeeded) yield break;

            var nrEntries = _nrEntries.Load();
            yield return nrEntries;
            var vec = _vec.Load();
            yield return vec;
            if (vec.Value is { } tp) yield return KernelStep.Call(_emulation.Handle(cpu, regs, tp, nrEntries.Value));
            else yield return _kernel.RaiseBug($"poke_int3_handler: NULL pointer dereference of bp_desc.vec on {cpu.Id}", BugKind.DanglingPointer);

            yield return Fence.Full;
            yield return Refcount.Put(_refs);
        }
    }
}
