using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>Reads text that may not be there; <see cref="Error"/> and <see cref="Bytes"/> hold the outcome once the step is done.</summary>
[KernelName("probe_kernel_read", File = "mm/maccess.c", Version = "v3.12")]
public sealed class ProbeKernelRead(LinuxKernel kernel, GuestAddress address, int length) : KernelStep
{
    private readonly byte[] _bytes = new byte[length];

    /// <summary>0, or -EFAULT.</summary>
    public int Error { get; private set; }

    public ReadOnlySpan<byte> Bytes => _bytes;

    public override string Describe() => $"read {length} bytes at {address}";

    protected override long Execute(Cpu cpu)
    {
        cpu.Machine.Accesses?.ReadLines(address, _bytes.Length);
        Error = kernel.Faults.Try(FaultPoint.Read);
        if (Error == 0 && !cpu.Machine.Memory.TryRead(address, _bytes)) Error = Errno.Efault;
        return cpu.Machine.Costs.TextRead;
    }
}
