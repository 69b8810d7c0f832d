using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>What ftrace_replace_code() does with the records in each of its passes, the same from Linux 3.5 to 5.4. How it recovers is each version's own.</summary>
/// <remarks>Each pass goes over all records itself, and does so with the same few steps: an iterator and new steps for each of a kernel's 25,000 records would cost the host more than what they do.</remarks>
/// <param name="kernel">Where it runs.</param>
/// <param name="sites">The records.</param>
internal sealed class FtracePasses(PatchContext kernel, IReadOnlyList<PatchSite> sites)
{
    private readonly PatchSite[] _sites = sites as PatchSite[] ?? [.. sites];
    private readonly ProbeKernelRead _read = kernel.ProbeKernelRead(default, FtraceRecords.McountInsnSize);
    private readonly ProbeKernelWrite _write = kernel.ProbeKernelWrite(default, default, TextMapping.IdentityAlias);

    // A record that is to be changed takes one or two of these in each pass.
    private KernelStep? _nextAndRead;
    private KernelStep? _nextAndWrite;

    /// <summary>0, or the error of the record that ended a pass.</summary>
    public int Error { get; private set; }

    /// <summary>How many records were done; set back, or not, by the protocol.</summary>
    public int Count { get; set; }

    /// <summary>The record at work.</summary>
    public PatchSite? Current { get; private set; }

    /// <summary>add_breakpoints() for each record, until one fails.</summary>
    public IEnumerable<KernelStep> AddBreakpoints()
    {
        for (var i = 0; i < _sites.Length; i++)
        {
            var site = Begin(i);
            if (site.IsFinished || site.NewCode is null)
            {
                yield return kernel.NextRecord();
            }
            else
            {
                yield return NextAndRead(site);
                Error = _read.Error != 0 ? Errno.Efault : _read.Bytes.SequenceEqual(site.OldCode) ? 0 : Errno.Einval;
                if (Error != 0) yield break;
                yield return FtraceWrite(site.Address, BreakpointState.Int3Opcode);
                if (IsWriteFailed()) yield break;
            }

            Count++;
        }
    }

    /// <summary>add_update() for each record, until one fails.</summary>
    public IEnumerable<KernelStep> AddUpdates()
    {
        for (var i = 0; i < _sites.Length; i++)
        {
            var site = Begin(i);
            if (site.IsFinished || site.NewCode is null)
            {
                yield return kernel.NextRecord();
            }
            else
            {
                yield return NextAndWrite(site.Address + 1, site.NewCode.AsMemory(1));
                if (IsWriteFailed()) yield break;
            }

            Count++;
        }
    }

    /// <summary>finish_update() for each record, until one fails.</summary>
    public IEnumerable<KernelStep> FinishUpdates()
    {
        for (var i = 0; i < _sites.Length; i++)
        {
            var site = Begin(i);

            // The record changes first: a failing write leaves it wrong, as it did in the original.
            var isFinished = site.IsFinished;
            site.IsFinished = true;
            if (isFinished || site.NewCode is null)
            {
                yield return kernel.NextRecord();
            }
            else
            {
                yield return NextAndWrite(site.Address, site.NewCode.AsMemory(0, 1));
                if (IsWriteFailed()) yield break;
            }

            Count++;
        }
    }

    /// <summary>ftrace_write(): through the identity mapping of the kernel's text, which may be written. One step, pointed at one place after the other.</summary>
    public ProbeKernelWrite FtraceWrite(GuestAddress address, ReadOnlyMemory<byte> code) => _write.At(address, code);

    /// <summary>ftrace's run_sync(): at boot it is called with interrupts off, and nobody may wait for IPIs like that.</summary>
    public IEnumerable<KernelStep> RunSync()
    {
        var interruptsWereOff = !kernel.Cpu.InterruptsEnabled;
        if (interruptsWereOff) yield return InterruptFlag.On;
        yield return kernel.RunSync();
        if (interruptsWereOff) yield return InterruptFlag.Off;
    }

    /// <summary>The first byte of nop or call, whichever the bytes behind it belong to; empty where they belong to neither.</summary>
    public static ReadOnlyMemory<byte> FirstByteFor(ReadOnlySpan<byte> tail, PatchSite site)
        => tail.SequenceEqual(site.OldCode.AsSpan(1)) ? site.OldCode.AsMemory(0, 1)
            : site.NewCode is not null && tail.SequenceEqual(site.NewCode.AsSpan(1)) ? site.NewCode.AsMemory(0, 1)
            : default;

    private PatchSite Begin(int record)
    {
        kernel.ExpectAfter(_sites, record);
        return Current = _sites[record];
    }

    private KernelStep NextAndRead(PatchSite site)
    {
        kernel.NoteRecord();
        _read.At(site.Address, site.Length);
        return _nextAndRead ??= KernelStep.Call([kernel.RecordStep, _read]);
    }

    private KernelStep NextAndWrite(GuestAddress address, ReadOnlyMemory<byte> code)
    {
        kernel.NoteRecord();
        _write.At(address, code);
        return _nextAndWrite ??= KernelStep.Call([kernel.RecordStep, _write]);
    }

    private bool IsWriteFailed()
    {
        Error = _write.Error != 0 ? Errno.Eperm : 0;
        return Error != 0;
    }
}
