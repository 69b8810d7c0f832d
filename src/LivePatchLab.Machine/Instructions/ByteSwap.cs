using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>BSWAP and MOVBE.</summary>
internal sealed unsafe class ByteSwap : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Bswap, Mnemonic.Movbe];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } target) return false;
        if (builder.Instruction.Mnemonic == Mnemonic.Bswap)
        {
            // Of a 16-bit register the result is undefined; on processors it is 0 (SDM vol. 2, BSWAP).
            if (builder.Bytes(0) == 2) builder.Use(typeof(Move), nameof(Move.Copy), typeof(Bits16), target, typeof(ImmediateSource));
            else builder.Use(typeof(ByteSwap), nameof(Swap), builder.Width(0), target, target);
            return true;
        }

        if (builder.Operand(1) is not { } source) return false;
        builder.Use(typeof(ByteSwap), nameof(Swap), builder.Width(0), target, source);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Swap<TWidth, TTarget, TSource>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TSource : struct, IOperand
    {
        var targetAddress = TTarget.Locate(cpu, op);
        if (!TTarget.OpensForWrite(cpu, op, targetAddress, TWidth.Bytes))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        var sourceAddress = TSource.Locate(cpu, op);
        if (!TSource.OpensForRead(cpu, op, sourceAddress, TWidth.Bytes))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        var value = TWidth.Read(TSource.Readable(cpu, op, memory, sourceAddress));
        TTarget.Write<TWidth>(TTarget.Writable(cpu, op, memory, targetAddress), Reverse<TWidth>(value));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    private static ulong Reverse<TWidth>(ulong value) where TWidth : struct, IWidth => BinaryPrimitives.ReverseEndianness(value) >> (64 - TWidth.Bits);
}
