using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P6, an array at a time: text_poke_bp_batch() of Linux 5.3 (arch/x86/kernel/alternative.c, commit c0213b0ac03c), made for jump labels, which collect
/// the sites of a key in one page. Six years after the seed, and with an array and a binary search in place of an iterator and its callbacks.
/// </summary>
/// <remarks>
///   patcher                                    any other CPU
///   bp_patching = { tp, nr_entries }; wmb
///   each: [0] = int3;                sync      from here on: traps, and the handler sends it to the location's detour
///   each: [1..] = new;               sync
///   each: [0] = new;                 sync      nobody can trap here any more
///   vec = NULL; nr_entries = 0                 but whoever traps elsewhere reads both: bug B09
/// </remarks>
[KernelName("text_poke_bp_batch", File = "arch/x86/kernel/alternative.c", Version = "v5.3")]
public sealed class TextPokeBpBatch : IPatchProtocol
{
    /// <summary>detour, addr, len, opcode[5]: 32 bytes with their padding.</summary>
    public const int LocationBytes = 32;

    public string Name => "text_poke_bp_batch";

    public string Summary => "P6, Linux 5.3: a page of sites at a time, found by binary search; traps go behind the site";

    public bool MaySkip => true;

    public Invariants PromisesUnder(FetchModel model)
        => Promises.OfThreeSyncs(model) | Promises.OfDrainedHandlers(model, Invariants.TrapsAreConsumed | Invariants.DescriptorOutlivesHandlers)
            | Invariants.WaitsWithInterruptsOn | Invariants.ForeignInt3Survives | Invariants.ArrayIsSorted;

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(kernel);

    private sealed class Patcher : IPatcher
    {
        private readonly LinuxKernel _kernel;
        private readonly BpPatching _bpPatching;

        public Patcher(LinuxKernel kernel)
        {
            _kernel = kernel;
            _bpPatching = new(kernel);
            kernel.RegisterInt3Handler(PokeInt3Handler);
        }

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
            => new TextPokeVector(kernel, TextPokeVector.PageBytes / LocationBytes, TextPokeLoc.ToSkip, tp => Batch(kernel, tp)).PokeAll(sites);

        private IEnumerable<KernelStep> Batch(PatchContext kernel, TextPokeLoc[] tp)
        {
            yield return new PhaseMark(TextPokePhase.Int3);
            yield return KernelStep.Call(_bpPatching.Publish(tp));
            yield return KernelStep.Call(TextPokeSteps.WriteInt3(kernel, tp));
            yield return kernel.RunSync();

            yield return new PhaseMark(TextPokePhase.Tails);
            yield return KernelStep.Call(TextPokeSteps.WriteTails(kernel, tp));
            if (tp.Any(location => location.Length > 1)) yield return kernel.RunSync();

            yield return new PhaseMark(TextPokePhase.FirstBytes);
            var poke = kernel.TextPoke(default, default);
            foreach (var location in tp)
            {
                yield return poke.At(location.Address, location.Text[..1]);
                if (poke.Error != 0) yield return TextPokeSteps.Failed(kernel, poke);
            }

            yield return kernel.RunSync();
            yield return KernelStep.Call(_bpPatching.ClearArrayFirst());
        }

        private IEnumerable<KernelStep> PokeInt3Handler(Cpu cpu, TrapFrame regs)
        {
            return _bpPatching.WithArray(cpu, Detour);

            IEnumerable<KernelStep> Detour(TextPokeLoc[] vec, int entries)
            {
                var lookup = new Int3Lookup(vec, entries, regs.Rip - 1);
                yield return lookup;
                if (lookup.OutOfBounds is { } index) yield return _kernel.RaiseBug($"poke_int3_handler: page fault on {cpu.Id}: it reads vec[{index}] of an array that has {vec.Length}", BugKind.OutOfBounds);
                if (lookup.Found is not { } tp) yield break;

                // The detour that jump labels give: behind the instruction.
                regs.Rip = tp.End;
                regs.Consumed = true;
            }
        }
    }
}
