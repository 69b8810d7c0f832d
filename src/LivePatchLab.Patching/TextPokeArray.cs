using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// text_poke_array of Linux 6.16: the one array that all clients of smp_text_poke_*() fill, whoever they are, and the functions that work on it. Each
/// takes text_mutex for one call only, so that another client may come between the calls of the first.
/// </summary>
[KernelName("text_poke_array", File = "arch/x86/kernel/alternative.c", Version = "v6.16")]
public sealed class TextPokeArray
{
    /// <summary>TEXT_POKE_ARRAY_MAX: what fits a page, with 16 bytes each.</summary>
    public const int LocationsMax = 256;

    /// <summary>_stext: where the kernel's text is linked, from which rel_addr counts.</summary>
    private static readonly GuestAddress KernelTextStart = new(0xffffffff81000000);

    private readonly LinuxKernel _kernel;
    private readonly List<TextPokeLoc> _vec = new(LocationsMax);
    private readonly PerCpuRefs _refs;
    private readonly Int3Emulation _emulation;

    private TextPokeArray(LinuxKernel kernel)
    {
        _kernel = kernel;
        _refs = new("text_poke_array_refs", kernel.Machine.Cpus.Count);
        _emulation = new(kernel);
    }

    public KernelVariable<int> NrEntries { get; } = new("text_poke_array.nr_entries", 0);

    /// <summary>The entries in memory; the first <see cref="NrEntries"/> count, what is behind them is left from before.</summary>
    public IReadOnlyList<TextPokeLoc> Vec => _vec;

    /// <summary>A kernel's own.</summary>
    public static TextPokeArray In(LinuxKernel kernel) => kernel.Globals(k =>
    {
        var array = new TextPokeArray(k);
        k.RegisterInt3Handler(array.SmpTextPokeInt3Handler);
        return array;
    });

    /// <summary>smp_text_poke_batch_add(): has what is there poked first where the array is full or would no longer ascend. The caller holds text_mutex.</summary>
    public IEnumerable<KernelStep> BatchAdd(PatchContext kernel, PatchSite site)
    {
        var nrEntries = NrEntries.Load();
        yield return nrEntries;
        var nr = nrEntries.Value;
        if (nr == LocationsMax || (nr > 0 && _vec[nr - 1].Address > site.Address)) yield return KernelStep.Call(BatchFinish(kernel));
        yield return KernelStep.Call(Append(site));
    }

    /// <summary>smp_text_poke_single(), with commit 2aebf5ee43bf: one site, and whatever others have added. The caller holds text_mutex.</summary>
    public IEnumerable<KernelStep> Single(PatchContext kernel, PatchSite site)
    {
        yield return KernelStep.Call(BatchAdd(kernel, site));
        yield return KernelStep.Call(BatchFinish(kernel));
    }

    /// <summary>smp_text_poke_single() of April to June 2025 (commit c8976ade0c1b), bug B11: it neither looks whether the array ascends, nor whether it is full.</summary>
    public IEnumerable<KernelStep> SingleUnordered(PatchContext kernel, PatchSite site)
    {
        yield return KernelStep.Call(Append(site));
        yield return KernelStep.Call(BatchFinish(kernel));
    }

    /// <summary>smp_text_poke_batch_finish(): pokes what is in the array. The caller holds text_mutex.</summary>
    public IEnumerable<KernelStep> BatchFinish(PatchContext kernel)
    {
        var nrEntries = NrEntries.Load();
        yield return nrEntries;
        var nr = nrEntries.Value;
        if (nr == 0) yield break;
        kernel.TextMutex.AssertHeld();
        yield return KernelStep.Call(_refs.SetAll());
        yield return Fence.Write;
        if (nr > _vec.Count)
        {
            yield return _kernel.RaiseBug($"smp_text_poke_batch_finish: page fault: it reads vec[{_vec.Count}] of an array that has {LocationsMax}, because nr_entries says {nr}", BugKind.OutOfBounds);
            yield break;
        }

        var vec = _vec.GetRange(0, nr);
        yield return KernelStep.Call(TextPokeSteps.Three(kernel, vec));
        foreach (var location in vec) location.Site.IsFinished = true;

        yield return new PhaseMark(TextPokePhase.Clearing);
        yield return KernelStep.Call(_refs.DropAndWaitForAll());
        yield return NrEntries.Store(0);
        yield return new PhaseMark(TextPokePhase.Queueing);
    }

    /// <summary>__smp_text_poke_batch_add()</summary>
    private IEnumerable<KernelStep> Append(PatchSite site)
    {
        if (TextPokeLoc.ToEmulate(site) is not { } location)
        {
            yield return TextPokeVector.CannotEmulate(_kernel, site);
            yield break;
        }

        var nrEntries = NrEntries.Load();
        yield return nrEntries;
        var nr = nrEntries.Value;
        if (nr >= LocationsMax)
        {
            // The entry behind the last lies over nr_entries, which becomes its first word: rel_addr.
            yield return NrEntries.Store(unchecked((int)(location.Address - KernelTextStart)));
            yield break;
        }

        _kernel.Machine.Accesses?.Write(Int3Lookup.EntriesThing);
        if (nr < _vec.Count) _vec[nr] = location;
        else _vec.Add(location);
        yield return NrEntries.Store(nr + 1);
    }

    private IEnumerable<KernelStep> SmpTextPokeInt3Handler(Cpu cpu, TrapFrame regs)
    {
        // Having observed the INT3, a CPU observes its count of references too.
        yield return Fence.Read;
        var refs = _refs.Of(cpu);
        var get = new Refcount.Get();
        yield return get.From(refs);
        if (!get.Succeeded) yield break;

        var nrEntries = NrEntries.Load();
        yield return nrEntries;
        yield return KernelStep.Call(_emulation.Handle(cpu, regs, _vec, nrEntries.Value));

        yield return Fence.Full;
        yield return Refcount.Put(refs);
    }
}
