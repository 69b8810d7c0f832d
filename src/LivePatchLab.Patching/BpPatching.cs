using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>bp_patching, the global variables of Linux 5.3 to 5.5: the array of locations, and how many it has. A count of 0 means that nothing is patched.</summary>
/// <remarks>Each handler reads the count first. Nothing keeps the array where it is while a handler is about to read it.</remarks>
[KernelName("bp_patching", File = "arch/x86/kernel/alternative.c", Version = "v5.3")]
internal sealed class BpPatching(LinuxKernel kernel)
{
    public KernelVariable<TextPokeLoc[]?> Vec { get; } = new("bp_patching.vec", null);

    public KernelVariable<int> NrEntries { get; } = new("bp_patching.nr_entries", 0);

    /// <summary>Before anything is written.</summary>
    public IEnumerable<KernelStep> Publish(TextPokeLoc[] tp)
    {
        yield return Vec.Store(tp);
        yield return NrEntries.Store(tp.Length);
        yield return Fence.Write;
    }

    /// <summary>
    /// The end of Linux 5.3's and 5.4's text_poke_bp_batch(), bug B09. The last sync drained the handlers that were active then; but an INT3 of somebody
    /// else, a kprobe's, lets a CPU in at any time:
    ///   patcher                 another CPU, at a kprobe
    ///                           reads nr_entries: not 0
    ///   vec = NULL
    ///                           reads vec: NULL
    ///   nr_entries = 0
    /// </summary>
    public IEnumerable<KernelStep> ClearArrayFirst()
    {
        yield return new PhaseMark(TextPokePhase.Clearing);
        yield return Vec.Store(null);
        yield return NrEntries.Store(0);
    }

    /// <summary>The first half of poke_int3_handler(): whether anything is patched at all, and where the array lies.</summary>
    /// <param name="cpu">The CPU that trapped.</param>
    /// <param name="handle">What is done with array and count; a different thing before and since emulation.</param>
    public IEnumerable<KernelStep> WithArray(Cpu cpu, Func<TextPokeLoc[], int, IEnumerable<KernelStep>> handle)
    {
        // Pairs with the write barrier behind the publishing: having seen the INT3, the handler sees the array.
        yield return Fence.Read;
        var nrEntries = NrEntries.Load();
        yield return nrEntries;
        if (nrEntries.Value == 0) yield break;
        var vec = Vec.Load();
        yield return vec;
        if (vec.Value is { } tp) yield return KernelStep.Call(handle(tp, nrEntries.Value));
        else yield return kernel.RaiseBug($"poke_int3_handler: NULL pointer dereference of bp_patching.vec on {cpu.Id}", BugKind.DanglingPointer);
    }
}
