using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// One pre-decoded operation: the handler that does it, and its operands as byte offsets into <see cref="CpuState"/>.
/// A handler ends by calling that of the next slot in tail position, so straight code runs without coming back.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct Op
{
    /// <summary>A <see cref="Handler"/>, resolved to its code so that a tail call needs no stub.</summary>
    public nint Handler;

    public long Immediate;
    public int Displacement;

    /// <summary>Low 32 bits of the instruction's address; the window is of signed 32-bit reach.</summary>
    public int Rip;

    /// <summary>Instructions from here to the end of the block: the budget is paid when a block is entered.</summary>
    public byte RemainingInstructions;

    public byte Destination;
    public byte Source;
    public byte Base;
    public byte Index;

    /// <summary>Left shift of the index; <see cref="AnyAddress"/> keeps its other bits here too.</summary>
    public byte Scale;

    public byte Length;

    /// <summary>A second source register, for the few instructions that have three.</summary>
    public byte SecondSource;

    public readonly ulong Address => (ulong)(long)Rip;

    public readonly ulong NextAddress => (ulong)((long)Rip + Length);
}

/// <summary>The slot behind an operation that ends a block: where it goes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 32)]
internal unsafe struct Edges
{
    public Op* Taken;
    public Op* NotTaken;

    /// <summary>The edges of the branch at <paramref name="op"/>.</summary>
    public static Edges* Of(Op* op) => (Edges*)(op + 1);

    /// <summary>
    /// With a branch of the host's, not a conditional move: the processor then guesses the next operation and runs ahead, where a
    /// conditional move would make every later operand wait for the comparison.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly Op* Choose(bool taken) => taken ? Taken : NotTaken;
}
