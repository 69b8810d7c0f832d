using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>
/// The common steps of handlers with one operand that may be memory. A handler whose own IL is longer than 100 bytes gets a frame
/// pointer from the JIT, whatever becomes of it by inlining; with these it stays shorter.
/// </summary>
internal static unsafe class OperandAccess
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OpensForRead<TOperand, TWidth>(CpuState* cpu, Op* op)
        where TOperand : struct, IOperand
        where TWidth : struct, IWidth
        => TOperand.OpensForRead(cpu, op, TOperand.Locate(cpu, op), TWidth.Bytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OpensForWrite<TOperand, TWidth>(CpuState* cpu, Op* op)
        where TOperand : struct, IOperand
        where TWidth : struct, IWidth
        => TOperand.OpensForWrite(cpu, op, TOperand.Locate(cpu, op), TWidth.Bytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Readable<TOperand>(CpuState* cpu, Op* op, byte* memory)
        where TOperand : struct, IOperand
        => TOperand.Readable(cpu, op, memory, TOperand.Locate(cpu, op));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Writable<TOperand>(CpuState* cpu, Op* op, byte* memory)
        where TOperand : struct, IOperand
        => TOperand.Writable(cpu, op, memory, TOperand.Locate(cpu, op));
}
