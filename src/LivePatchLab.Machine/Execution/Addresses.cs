using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>How an operation's memory operand is addressed: the two common shapes, and one for all the rest.</summary>
internal unsafe interface IAddress
{
    static abstract ulong Of(CpuState* cpu, Op* op);
}

/// <summary>Base register (or none) and displacement; RIP-relative operands too, folded when they are decoded.</summary>
internal readonly unsafe struct BaseAddress : IAddress
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(CpuState* cpu, Op* op) => *(ulong*)((byte*)cpu + op->Base) + (ulong)(long)op->Displacement;
}

internal readonly unsafe struct IndexedAddress : IAddress
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(CpuState* cpu, Op* op)
        => *(ulong*)((byte*)cpu + op->Base) + (*(ulong*)((byte*)cpu + op->Index) << op->Scale) + (ulong)(long)op->Displacement;
}

/// <summary>Also FS and GS, 32-bit addresses, and what leaves the signed 32-bit reach of a displacement.</summary>
internal readonly unsafe struct AnyAddress : IAddress
{
    public const byte ScaleMask = 3, Fs = 4, Gs = 8, Truncate = 16, RipRelative = 32, StackSegment = 64, Absolute = 128;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(CpuState* cpu, Op* op)
    {
        var address = *(ulong*)((byte*)cpu + op->Base) + (*(ulong*)((byte*)cpu + op->Index) << (op->Scale & ScaleMask)) + (ulong)(long)op->Displacement;
        if ((op->Scale & RipRelative) != 0) address += op->NextAddress;
        if ((op->Scale & Absolute) != 0) address = (ulong)op->Immediate;

        // The address size applies to the offset; the segment base is added in 64 bits (SDM vol. 1, 3.3.7).
        if ((op->Scale & Truncate) != 0) address = (uint)address;
        if ((op->Scale & Fs) != 0) address += cpu->FsBase;
        if ((op->Scale & Gs) != 0) address += cpu->GsBase;
        return address;
    }
}
