using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>Reads text that may not be there; <see cref="Error"/> and <see cref="Bytes"/> hold the outcome once the step is done.</summary>
[KernelName("probe_kernel_read", File = "mm/maccess.c", Version = "v3.12")]
public sealed class ProbeKernelRead(LinuxKernel kernel, GuestAddress address, int length) : KernelStep
{
    private byte[] _bytes = new byte[length];
    private GuestAddress _address = address;

    /// <summary>0, or -EFAULT.</summary>
    public int Error { get; private set; }

    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>The same step for another place, for those who read many: only once it is done, and what was read has been looked at.</summary>
    public ProbeKernelRead At(GuestAddress next, int nextLength)
    {
        _address = next;
        if (_bytes.Length != nextLength) _bytes = new byte[nextLength];
        return this;
    }

    public override string Describe() => $"read {_bytes.Length} bytes at {_address}";

    protected override long Execute(Cpu cpu)
    {
        cpu.Machine.Accesses?.ReadLines(_address, _bytes.Length);
        Error = kernel.Faults.Try(FaultPoint.Read);
        if (Error == 0 && !cpu.Machine.Memory.TryRead(_address, _bytes)) Error = Errno.Efault;
        return cpu.Machine.Costs.TextRead;
    }
}
