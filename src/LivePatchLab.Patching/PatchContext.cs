using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>What a protocol sees of the kernel while it runs: the steps it can take, and where it reports a failure.</summary>
public sealed class PatchContext(LinuxKernel kernel, Cpu cpu)
{
    private const int SitesAhead = 2;

    private readonly RunSync _runSync = new(kernel);
    private readonly Delay _nextRecord = new(kernel.Machine.Costs.RecordStep.Cycles, "next record");

    public LinuxKernel Kernel { get; } = kernel;

    /// <summary>The CPU that the patcher runs on.</summary>
    public Cpu Cpu { get; } = cpu;

    /// <summary>Steps that a protocol has made for this context and sets anew for each site; null where it has made none.</summary>
    internal object? SiteSteps { get; set; }

    public KernelLock TextMutex => Kernel.TextMutex;

    public CostModel Costs => Kernel.Machine.Costs;

    /// <summary>Set by the protocol when it has failed.</summary>
    public PatchFailure? Failure { get; set; }

    /// <summary>on_each_cpu(do_sync_core). The same step every time: it is done before the routine can ask for it again.</summary>
    public RunSync RunSync() => _runSync;

    public TextPoke TextPoke(GuestAddress address, ReadOnlyMemory<byte> opcode) => new(Kernel, address, opcode);

    public ProbeKernelRead ProbeKernelRead(GuestAddress address, int length) => new(Kernel, address, length);

    public ProbeKernelWrite ProbeKernelWrite(GuestAddress address, ReadOnlyMemory<byte> opcode, TextMapping mapping) => new(Kernel, address, opcode, mapping);

    /// <summary>Told whenever the protocol goes on to its next record; only looks on.</summary>
    public Action? RecordReached { get; init; }

    /// <summary>Going on to the next record of a list.</summary>
    public KernelStep NextRecord()
    {
        NoteRecord();
        return RecordStep;
    }

    /// <summary>The step of <see cref="NextRecord"/>, for a protocol that calls it together with what comes after and says so by <see cref="NoteRecord"/>.</summary>
    internal KernelStep RecordStep => _nextRecord;

    /// <summary>Has the host fetch text that is patched soon, while what comes before is: its memory is slower than a step, and sites lie too far apart for it to guess.</summary>
    internal void ExpectAfter(PatchSite[] sites, int record)
    {
        if (record + SitesAhead < sites.Length) Kernel.Machine.Memory.Expect(sites[record + SitesAhead].Address);
    }

    internal void NoteRecord() => RecordReached?.Invoke();

    /// <summary>Runs a client's callback, unless it is to fail.</summary>
    public int Call<T>(Func<T, int> callback, T argument)
    {
        var error = Kernel.Faults.Try(FaultPoint.Callback);
        return error != 0 ? error : callback(argument);
    }
}
