using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>One pre-decoded operation: the handler that does it, and its operands as byte offsets into <see cref="CpuState"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Op
{
    /// <summary>delegate*&lt;CpuState*, Op*, byte*, void&gt;, resolved to its code so that a tail call needs no stub.</summary>
    public nint Handler;

    public long Immediate;
    public int Displacement;

    /// <summary>Instructions from here to the end of the block: the budget is paid when a block is entered.</summary>
    public byte RemainingInstructions;

    public byte Destination;
    public byte Source;
    public byte Base;
    public byte Index;
    public byte Scale;
    public byte Length;
    public byte Condition;

    /// <summary>Low 32 bits of the instruction's address; the window is of signed 32-bit reach.</summary>
    public int Rip;
}
