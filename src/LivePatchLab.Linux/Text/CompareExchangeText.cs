using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>LOCK CMPXCHG of one byte of text: writes it only where it holds what is expected. Does not serialise. Nobody comes between its read and its write.</summary>
/// <param name="kernel">Whose text it is.</param>
/// <param name="address">The byte.</param>
/// <param name="isExpected">Which present bytes may be replaced.</param>
/// <param name="value">What replaces them.</param>
public sealed class CompareExchangeText(LinuxKernel kernel, GuestAddress address, Func<byte, bool> isExpected, byte value) : KernelStep
{
    /// <summary>0; -EFAULT where the byte is not there; -EBUSY where it is another than expected.</summary>
    public int Error { get; private set; }

    /// <summary>The byte that was there.</summary>
    public byte Seen { get; private set; }

    public override string Describe() => $"cmpxchg {address}: {value:x2}";

    protected override long Execute(Cpu cpu)
    {
        cpu.Machine.Accesses?.ReadLines(address, 1);
        Error = kernel.Faults.Try(FaultPoint.Write);
        Span<byte> seen = stackalloc byte[1];
        if (Error == 0 && !cpu.Machine.Memory.TryRead(address, seen)) Error = Errno.Efault;
        Seen = seen[0];
        if (Error == 0 && !isExpected(Seen)) Error = Errno.Ebusy;
        if (Error == 0 && !kernel.StoreText(cpu, address, [value])) Error = Errno.Efault;
        return cpu.Machine.Costs.ProbeWrite;
    }
}
