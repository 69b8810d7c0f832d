using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>
/// Where an operand is. A handler is written once and specialised for each: it locates the operand, asks whether it opens,
/// and works on the host address. An operand that does not open ends the handler through <see cref="Refuse"/>, always in
/// tail position, so that nothing has to be kept across a call and the common path has no stack frame.
/// </summary>
internal unsafe interface IOperand
{
    /// <summary>The guest address for memory; nothing for registers and immediates.</summary>
    static abstract ulong Locate(CpuState* cpu, Op* op);

    static abstract bool OpensForRead(CpuState* cpu, Op* op, ulong address, int bytes);

    /// <summary>For operands that are written, whether or not they are read first.</summary>
    static abstract bool OpensForWrite(CpuState* cpu, Op* op, ulong address, int bytes);

    /// <summary>The host address of an operand that has been opened for reading.</summary>
    static abstract byte* Readable(CpuState* cpu, Op* op, byte* memory, ulong address);

    /// <summary>The host address of an operand that has been opened for writing.</summary>
    static abstract byte* Writable(CpuState* cpu, Op* op, byte* memory, ulong address);

    static abstract void Write<TWidth>(byte* place, ulong value) where TWidth : struct, IWidth;

    /// <summary>Has the signature of a handler, so that it is reached by a jump.</summary>
    static abstract void Refuse(CpuState* cpu, Op* op, byte* memory, long budget);
}

/// <summary>The register at <see cref="Op.Destination"/>.</summary>
internal readonly unsafe struct RegisterDestination : IOperand
{
    public static ulong Locate(CpuState* cpu, Op* op) => 0;

    public static bool OpensForRead(CpuState* cpu, Op* op, ulong address, int bytes) => true;

    public static bool OpensForWrite(CpuState* cpu, Op* op, ulong address, int bytes) => true;

    public static byte* Readable(CpuState* cpu, Op* op, byte* memory, ulong address) => (byte*)cpu + op->Destination;

    public static byte* Writable(CpuState* cpu, Op* op, byte* memory, ulong address) => (byte*)cpu + op->Destination;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<TWidth>(byte* place, ulong value) where TWidth : struct, IWidth => TWidth.WriteRegister(place, value);

    public static void Refuse(CpuState* cpu, Op* op, byte* memory, long budget) => Leave.Trapped(cpu, op, memory, budget);
}

/// <summary>The register at <see cref="Op.Source"/>.</summary>
internal readonly unsafe struct RegisterSource : IOperand
{
    public static ulong Locate(CpuState* cpu, Op* op) => 0;

    public static bool OpensForRead(CpuState* cpu, Op* op, ulong address, int bytes) => true;

    public static bool OpensForWrite(CpuState* cpu, Op* op, ulong address, int bytes) => true;

    public static byte* Readable(CpuState* cpu, Op* op, byte* memory, ulong address) => (byte*)cpu + op->Source;

    public static byte* Writable(CpuState* cpu, Op* op, byte* memory, ulong address) => (byte*)cpu + op->Source;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<TWidth>(byte* place, ulong value) where TWidth : struct, IWidth => TWidth.WriteRegister(place, value);

    public static void Refuse(CpuState* cpu, Op* op, byte* memory, long budget) => Leave.Trapped(cpu, op, memory, budget);
}

/// <summary>The immediate, read where the operation keeps it, so that a narrow read truncates it.</summary>
internal readonly unsafe struct ImmediateSource : IOperand
{
    public static ulong Locate(CpuState* cpu, Op* op) => 0;

    public static bool OpensForRead(CpuState* cpu, Op* op, ulong address, int bytes) => true;

    public static bool OpensForWrite(CpuState* cpu, Op* op, ulong address, int bytes) => false;

    public static byte* Readable(CpuState* cpu, Op* op, byte* memory, ulong address) => (byte*)&op->Immediate;

    public static byte* Writable(CpuState* cpu, Op* op, byte* memory, ulong address) => (byte*)&op->Immediate;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<TWidth>(byte* place, ulong value) where TWidth : struct, IWidth => TWidth.Write(place, value);

    public static void Refuse(CpuState* cpu, Op* op, byte* memory, long budget) => Leave.Trapped(cpu, op, memory, budget);
}

/// <summary>Memory in the plain case: permitted, inside one page, and for a store not executable. Anything else is left to <see cref="CarefulMemory"/>.</summary>
internal readonly unsafe struct PlainMemory<TAddress> : IOperand
    where TAddress : struct, IAddress
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Locate(CpuState* cpu, Op* op) => TAddress.Of(cpu, op);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OpensForRead(CpuState* cpu, Op* op, ulong address, int bytes) => PlainAccess.CanLoad(cpu, address, bytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool OpensForWrite(CpuState* cpu, Op* op, ulong address, int bytes) => PlainAccess.CanStore(cpu, address, bytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Readable(CpuState* cpu, Op* op, byte* memory, ulong address) => memory + (long)address;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Writable(CpuState* cpu, Op* op, byte* memory, ulong address) => memory + (long)address;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<TWidth>(byte* place, ulong value) where TWidth : struct, IWidth => TWidth.Write(place, value);

    public static void Refuse(CpuState* cpu, Op* op, byte* memory, long budget) => Leave.ForCare(cpu, op, memory, budget);
}

/// <summary>Memory in every case, for an operation that runs alone: <see cref="CarefulAccess"/> copies it in, and out when the operation is done.</summary>
internal readonly unsafe struct CarefulMemory : IOperand
{
    public static ulong Locate(CpuState* cpu, Op* op) => AnyAddress.Of(cpu, op);

    public static bool OpensForRead(CpuState* cpu, Op* op, ulong address, int bytes)
        => CarefulAccess.OpenForRead(cpu, address, bytes, (op->Scale & AnyAddress.StackSegment) != 0);

    public static bool OpensForWrite(CpuState* cpu, Op* op, ulong address, int bytes)
        => CarefulAccess.OpenForWrite(cpu, address, bytes, (op->Scale & AnyAddress.StackSegment) != 0);

    public static byte* Readable(CpuState* cpu, Op* op, byte* memory, ulong address) => (byte*)cpu->LoadBounce;

    public static byte* Writable(CpuState* cpu, Op* op, byte* memory, ulong address) => (byte*)cpu->StoreBounce;

    public static void Write<TWidth>(byte* place, ulong value) where TWidth : struct, IWidth => TWidth.Write(place, value);

    public static void Refuse(CpuState* cpu, Op* op, byte* memory, long budget) => Leave.Trapped(cpu, op, memory, budget);
}
