using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>How the implicit accesses of PUSH, POP, CALL, RET and their kin reach the stack: the plain way or the careful one.</summary>
internal unsafe interface IStack
{
    static abstract bool OpensForRead(CpuState* cpu, ulong address, int bytes);

    static abstract bool OpensForWrite(CpuState* cpu, ulong address, int bytes);

    static abstract byte* Readable(CpuState* cpu, byte* memory, ulong address);

    static abstract byte* Writable(CpuState* cpu, byte* memory, ulong address);

    static abstract void Refuse(CpuState* cpu, Op* op, byte* memory, long budget);
}

internal readonly unsafe struct PlainStack : IStack
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OpensForRead(CpuState* cpu, ulong address, int bytes) => PlainAccess.CanLoad(cpu, address, bytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OpensForWrite(CpuState* cpu, ulong address, int bytes) => PlainAccess.CanStore(cpu, address, bytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Readable(CpuState* cpu, byte* memory, ulong address) => memory + (long)address;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Writable(CpuState* cpu, byte* memory, ulong address) => memory + (long)address;

    public static void Refuse(CpuState* cpu, Op* op, byte* memory, long budget) => Leave.ForCare(cpu, op, memory, budget);
}

internal readonly unsafe struct CarefulStack : IStack
{
    public static bool OpensForRead(CpuState* cpu, ulong address, int bytes) => CarefulAccess.OpenForRead(cpu, address, bytes, stack: true);

    public static bool OpensForWrite(CpuState* cpu, ulong address, int bytes) => CarefulAccess.OpenForWrite(cpu, address, bytes, stack: true);

    public static byte* Readable(CpuState* cpu, byte* memory, ulong address) => (byte*)cpu->LoadBounce;

    public static byte* Writable(CpuState* cpu, byte* memory, ulong address) => (byte*)cpu->StoreBounce;

    public static void Refuse(CpuState* cpu, Op* op, byte* memory, long budget) => Leave.Trapped(cpu, op, memory, budget);
}
