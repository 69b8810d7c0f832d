using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// The registers of one CPU as the handlers see them: unmanaged, so that a handler reaches a register by its byte offset.
/// The flags are lazy: <see cref="FlagKind"/> says from which operation of which width they would be worked out of
/// <see cref="FlagA"/>, <see cref="FlagB"/> and <see cref="FlagResult"/>.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CpuState
{
    /// <summary>RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 … R15, as the encoding numbers them.</summary>
    public fixed ulong Registers[16];

    /// <summary>Always 0: what "no base" and "no index" read.</summary>
    public ulong Zero;

    /// <summary>The address of the next instruction, whenever the interpreter is not running.</summary>
    public ulong Rip;

    public ulong FsBase;
    public ulong GsBase;

    /// <summary>What is left of the instructions that this call of the interpreter may retire.</summary>
    public long Budget;

    public ulong FlagA;
    public ulong FlagB;
    public ulong FlagResult;
    public int FlagKind;

    /// <summary>The flags that are never lazy: IF, DF, TF, AC, … as RFLAGS has them.</summary>
    public uint SystemFlags;

    /// <summary>Where this CPU stopped in decoded code, or null when RIP must be looked up.</summary>
    public Op* Current;

    public byte* Memory;
    public byte* PageFlags;

    public ExecutionExit Exit;
    public int TrapVector;
    public uint TrapErrorCode;

    /// <summary>The address whose access faulted (CR2), for #PF.</summary>
    public ulong TrapAddress;

    public int CpuIndex;
}
