using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// tp_vec: one page of locations that are poked together, text_poke_queue() and text_poke_finish() of Linux 5.5 to 6.15 (commit 18cbc8bed0c7). A
/// location that does not ascend, or no longer fits, has the page poked first, because the handler will search it.
/// </summary>
/// <param name="kernel">Where it runs.</param>
/// <param name="locationsMax">How many locations a page holds.</param>
/// <param name="makeLocation">A location for a site; null is a BUG.</param>
/// <param name="pokeBatch">Pokes what the page holds.</param>
internal sealed class TextPokeVector(PatchContext kernel, int locationsMax, Func<PatchSite, TextPokeLoc?> makeLocation, Func<TextPokeLoc[], IEnumerable<KernelStep>> pokeBatch)
{
    /// <summary>PAGE_SIZE.</summary>
    public const int PageBytes = 4096;

    private static readonly PhaseMark QueueingMark = new(TextPokePhase.Queueing);

    private readonly List<TextPokeLoc> _vec = new(locationsMax);

    /// <summary>Queues and pokes all sites that need a change.</summary>
    public IEnumerable<KernelStep> PokeAll(IReadOnlyList<PatchSite> sites)
    {
        kernel.TextMutex.AssertHeld();
        yield return QueueingMark;
        foreach (var site in sites)
        {
            yield return kernel.NextRecord();
            if (site.NewCode is null)
            {
                site.IsFinished = true;
                continue;
            }

            if (makeLocation(site) is not { } location)
            {
                yield return CannotEmulate(kernel.Kernel, site);
                yield break;
            }

            if (_vec.Count == locationsMax || (_vec.Count > 0 && _vec[^1].Address > location.Address)) yield return KernelStep.Call(Flush());
            _vec.Add(location);
        }

        if (_vec.Count > 0) yield return KernelStep.Call(Flush());
    }

    /// <summary>The BUG_ON() and BUG() of text_poke_loc_init().</summary>
    public static KernelStep CannotEmulate(LinuxKernel kernel, PatchSite site)
        => kernel.RaiseBug($"text_poke_loc_init: {Convert.ToHexStringLower(site.Emulate ?? site.NewCode!)} at {site.Address} is no call, jump, ret, int3, or nop of 2 or 5 bytes, and cannot be emulated");

    private IEnumerable<KernelStep> Flush()
    {
        // A handler may still search the array when the next one is filled: each flush has its own.
        TextPokeLoc[] vec = [.. _vec];
        _vec.Clear();
        yield return KernelStep.Call(pokeBatch(vec));
        foreach (var location in vec) location.Site.IsFinished = true;
        yield return QueueingMark;
    }
}
