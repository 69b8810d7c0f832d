using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>Which mapping a write goes through.</summary>
public enum TextMapping
{
    /// <summary>The kernel's identity mapping of all memory, which can be made writable while ftrace works.</summary>
    IdentityAlias,

    /// <summary>The address the code runs at, which is read-only.</summary>
    Direct,
}

/// <summary>Writes text by an ordinary store that is allowed to fault. Does not serialise. <see cref="Error"/> holds the outcome once the step is done.</summary>
[KernelName("probe_kernel_write", File = "mm/maccess.c", Version = "v3.12")]
public sealed class ProbeKernelWrite(LinuxKernel kernel, GuestAddress address, ReadOnlyMemory<byte> opcode, TextMapping mapping) : KernelStep
{
    private GuestAddress _address = address;
    private ReadOnlyMemory<byte> _opcode = opcode;

    /// <summary>0, or -EFAULT.</summary>
    public int Error { get; private set; }

    /// <inheritdoc cref="TextPoke.At"/>
    public ProbeKernelWrite At(GuestAddress next, ReadOnlyMemory<byte> nextOpcode)
    {
        (_address, _opcode) = (next, nextOpcode);
        return this;
    }

    public override string Describe() => $"probe_kernel_write {_address}: {Convert.ToHexStringLower(_opcode.Span)}";

    protected override long Execute(Cpu cpu)
    {
        Error = kernel.Faults.Try(FaultPoint.Write);
        if (Error == 0 && (IsReadOnly(cpu) || !kernel.StoreText(cpu, _address, _opcode.Span))) Error = Errno.Efault;
        return cpu.Machine.Costs.ProbeWrite;
    }

    private bool IsReadOnly(Cpu cpu)
        => mapping == TextMapping.Direct && cpu.Machine.Memory.PermissionsAt(_address)?.HasFlag(PagePermissions.Write) != true;
}
