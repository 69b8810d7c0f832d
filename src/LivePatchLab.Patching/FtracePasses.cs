using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>What ftrace_replace_code() does with one record in each of its passes, the same from Linux 3.5 to 5.4. How it recovers is each version's own.</summary>
/// <param name="kernel">Where it runs.</param>
internal sealed class FtracePasses(PatchContext kernel)
{
    /// <summary>0, or the error of the record that ended a pass.</summary>
    public int Error { get; private set; }

    /// <summary>How many records were done; set back, or not, by the protocol.</summary>
    public int Count { get; set; }

    /// <summary>The record at work.</summary>
    public PatchSite? Current { get; private set; }

    /// <summary>One pass over the records, until one fails.</summary>
    public IEnumerable<KernelStep> ForEach(IReadOnlyList<PatchSite> sites, Func<PatchSite, IEnumerable<KernelStep>> pass)
    {
        foreach (var site in sites)
        {
            Current = site;
            yield return kernel.NextRecord();
            yield return KernelStep.Call(pass(site));
            if (Error != 0) yield break;
            Count++;
        }
    }

    public IEnumerable<KernelStep> AddBreakpoints(PatchSite site)
    {
        if (site.IsFinished || site.NewCode is null) yield break;
        var actual = kernel.ProbeKernelRead(site.Address, site.Length);
        yield return actual;
        Error = actual.Error != 0 ? Errno.Efault : actual.Bytes.SequenceEqual(site.OldCode) ? 0 : Errno.Einval;
        if (Error != 0) yield break;
        var write = FtraceWrite(site.Address, BreakpointState.Int3Opcode);
        yield return write;
        Error = write.Error != 0 ? Errno.Eperm : 0;
    }

    public IEnumerable<KernelStep> AddUpdate(PatchSite site)
    {
        if (site.IsFinished || site.NewCode is null) yield break;
        var write = FtraceWrite(site.Address + 1, site.NewCode.AsMemory(1));
        yield return write;
        Error = write.Error != 0 ? Errno.Eperm : 0;
    }

    public IEnumerable<KernelStep> FinishUpdate(PatchSite site)
    {
        // The record changes first: a failing write leaves it wrong, as it did in the original.
        var isFinished = site.IsFinished;
        site.IsFinished = true;
        if (isFinished || site.NewCode is null) yield break;
        var write = FtraceWrite(site.Address, site.NewCode.AsMemory(0, 1));
        yield return write;
        Error = write.Error != 0 ? Errno.Eperm : 0;
    }

    /// <summary>ftrace_write(): through the identity mapping of the kernel's text, which may be written.</summary>
    public ProbeKernelWrite FtraceWrite(GuestAddress address, ReadOnlyMemory<byte> code) => kernel.ProbeKernelWrite(address, code, TextMapping.IdentityAlias);

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
}
