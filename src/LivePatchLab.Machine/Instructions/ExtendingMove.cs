using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

internal interface IExtension
{
    static abstract ulong Extend<TFrom>(ulong value) where TFrom : struct, IWidth;
}

internal readonly struct ZeroExtension : IExtension
{
    public static ulong Extend<TFrom>(ulong value) where TFrom : struct, IWidth => value;
}

internal readonly struct SignedExtension : IExtension
{
    public static ulong Extend<TFrom>(ulong value) where TFrom : struct, IWidth => (ulong)TFrom.SignExtend(value);
}

/// <summary>MOVZX, MOVSX and MOVSXD.</summary>
internal sealed unsafe class ExtendingMove : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Movzx, Mnemonic.Movsx, Mnemonic.Movsxd];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is null || builder.Operand(1) is not { } source) return false;
        var extension = builder.Instruction.Mnemonic == Mnemonic.Movzx ? typeof(ZeroExtension) : typeof(SignedExtension);
        builder.Use(typeof(ExtendingMove), nameof(Copy), builder.Width(1), builder.Width(0), source, extension);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Copy<TFrom, TTo, TSource, TExtension>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TFrom : struct, IWidth
        where TTo : struct, IWidth
        where TSource : struct, IOperand
        where TExtension : struct, IExtension
    {
        if (!OperandAccess.OpensForRead<TSource, TFrom>(cpu, op))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        Write<TFrom, TTo, TExtension>((byte*)cpu + op->Destination, OperandAccess.Readable<TSource>(cpu, op, memory));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<TFrom, TTo, TExtension>(byte* to, byte* from)
        where TFrom : struct, IWidth
        where TTo : struct, IWidth
        where TExtension : struct, IExtension
        => TTo.WriteRegister(to, TExtension.Extend<TFrom>(TFrom.Read(from)));
}
