namespace LivePatchLab.Machine;

/// <summary>
/// How far ahead of its execution each CPU may have captured an instruction: the queue, the window, the micro-op cache, or a whole block.
/// A model without any of these has no such object and pays for none.
/// </summary>
internal sealed class FetchBounds
{
    private readonly ICpuProgress _progress;
    private readonly bool _isByBlock;
    private readonly int _queueDepth;
    private readonly int _windowBytes;
    private readonly RetirementRing[] _rings = [];
    private readonly Capture[] _captures;
    private readonly MicroOpCache[]? _caches;

    private FetchBounds(FetchModel model, bool isSnooped, int cpus, ICpuProgress progress)
    {
        _progress = progress;
        _captures = new Capture[cpus];
        _isByBlock = model.CaptureUnit == CaptureUnit.Block;
        if (_isByBlock) return;
        _queueDepth = model.QueueDepth!.Value;
        _rings = [.. _captures.Select(_ => new RetirementRing(_queueDepth))];

        // A store that is snooped drops the windows and the micro-ops of the lines that it touches, so those never show anything old.
        if (isSnooped) return;
        _windowBytes = model.WindowBytes ?? 0;
        if (model.MicroOpCacheLines > 0) _caches = [.. _captures.Select(_ => new MicroOpCache(model.MicroOpCacheLines))];
    }

    private bool KeepsCaptures => _isByBlock || _windowBytes > 0;

    /// <summary>The bounds that a model sets, or null where serialising is the only one.</summary>
    /// <param name="model">The model.</param>
    /// <param name="isSnooped">Whether stores drop what other CPUs have fetched and not decoded.</param>
    /// <param name="cpus">How many CPUs there are.</param>
    /// <param name="progress">How far they have come.</param>
    public static FetchBounds? Of(FetchModel model, bool isSnooped, int cpus, ICpuProgress progress)
        => model.CaptureUnit == CaptureUnit.Block || model.QueueDepth is not null ? new(model, isSnooped, cpus, progress) : null;

    /// <summary>Somebody stores: from now on everybody's captures are told from later ones.</summary>
    /// <param name="epoch">The store's.</param>
    /// <param name="guest">The CPU in the middle of whose instruction it happens, and what it will have retired with it; or null.</param>
    public void NoteStore(long epoch, (int Cpu, long Retired)? guest)
    {
        for (var i = 0; i < _captures.Length; i++)
        {
            var isGuest = guest is { } own && own.Cpu == i;
            var retired = isGuest ? guest!.Value.Retired : _progress.RetiredBy(new(i));
            if (KeepsCaptures && !isGuest) NoteCaptured(i, retired, epoch - 1);
            if (!_isByBlock) _rings[i].Add(retired, epoch);
        }
    }

    /// <summary>A line of which there was only one version gets a second one.</summary>
    public void NoteDirty(GuestAddress line)
    {
        if (_caches is null) return;
        foreach (var cache in _caches) cache.AddWholeLine(line);
    }

    /// <summary>The oldest epoch at which the CPU may have captured this instruction; with blocks, the epoch at which it did.</summary>
    /// <param name="cpu">The CPU.</param>
    /// <param name="instruction">Its address.</param>
    /// <param name="retired">How many instructions the CPU has retired before it.</param>
    /// <param name="newestEpoch">The epoch that is on.</param>
    /// <param name="isPeek">True when the CPU does not fetch, and somebody only wants to know.</param>
    public long EpochFor(int cpu, GuestAddress instruction, long retired, long newestEpoch, bool isPeek)
    {
        ref var capture = ref _captures[cpu];
        if (KeepsCaptures && capture.GoesOnAt(instruction, retired) && _caches?[cpu].Holds(instruction) != true) return capture.Epoch;
        var epoch = _isByBlock ? newestEpoch : _rings[cpu].EpochBy(retired - _queueDepth);
        if (!isPeek) capture.Begin(epoch);
        return _caches?[cpu].Holds(instruction) == true ? 0 : epoch;
    }

    /// <summary>The instruction that <see cref="EpochFor"/> was asked for has been fetched whole.</summary>
    public void EndFetch(int cpu, GuestAddress instruction, int length, bool isBranch, long retired)
    {
        _caches?[cpu].Add(instruction);
        if (!KeepsCaptures) return;
        var next = instruction + length;
        if (_isByBlock ? isBranch : next.AlignDown(_windowBytes) != instruction.AlignDown(_windowBytes)) _captures[cpu].End();
        else _captures[cpu].ReachTo(next, retired + 1);
    }

    /// <summary>The CPU goes on elsewhere, or anew: what it captured ahead is dropped, but not what it keeps decoded.</summary>
    public void Redirect(int cpu) => _captures[cpu].End();

    /// <summary>The CPU has serialised.</summary>
    public void Serialise(int cpu)
    {
        Redirect(cpu);
        _caches?[cpu].Clear();
    }

    /// <summary>All CPUs agree on all code.</summary>
    public void ForgetDecoded()
    {
        if (_caches is null) return;
        foreach (var cache in _caches) cache.Clear();
    }

    public void Reset()
    {
        foreach (var ring in _rings) ring.Clear();
        Array.Clear(_captures);
        ForgetDecoded();
    }

    /// <summary>What a CPU is about to execute it has captured before the store that comes now, along with what follows it straight on.</summary>
    private void NoteCaptured(int cpu, long retired, long epochBefore)
    {
        ref var capture = ref _captures[cpu];
        if (_progress.NextInstructionOf(new(cpu)) is not { } next)
        {
            capture.End();
            return;
        }

        if (capture.GoesOnAt(next, retired)) return;
        capture.Begin(_isByBlock ? epochBefore : _rings[cpu].EpochBy(retired - _queueDepth));
        capture.ReachTo(next, retired);
    }
}
