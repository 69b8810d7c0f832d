using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// MUL, the three forms of IMUL, and MULX. CF and OF say whether the product has an upper half; SF, ZF, AF and PF are undefined, and 0 here.
/// </summary>
internal sealed unsafe class Multiply : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Mul, Mnemonic.Imul, Mnemonic.Mulx];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Instruction.Mnemonic == Mnemonic.Mulx) return TryBuildFlagless(builder);
        if (builder.Operand(0) is not { } first) return false;
        var isSigned = builder.Instruction.Mnemonic == Mnemonic.Imul ? typeof(SignedExtension) : typeof(ZeroExtension);
        switch (builder.Instruction.OpCount)
        {
            case 1:
                builder.Use(typeof(Multiply), nameof(Widening), builder.Width(0), first, isSigned);
                return true;
            case 2:
                if (builder.Operand(1) is not { } second) return false;
                builder.Op->SecondSource = builder.Op->Destination;
                builder.Use(typeof(Multiply), nameof(Truncating), builder.Width(0), second, typeof(FlagsUnseen), builder.FlagUse);
                return true;
            default:
                if (builder.Operand(1) is not { } source || builder.Operand(2) is null) return false;
                builder.Use(typeof(Multiply), nameof(Truncating), builder.Width(0), source, typeof(FlagsWanted), builder.FlagUse);
                return true;
        }
    }

    public override RflagsBits Overwrites(in Instruction instruction) => instruction.Mnemonic == Mnemonic.Mulx ? RflagsBits.None : FlagLiveness.Status;

    /// <summary>RDX:RAX (AX for bytes) = RAX × operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Widening<TWidth, TSource, TExtension>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TSource : struct, IOperand
        where TExtension : struct, IExtension
    {
        var address = TSource.Locate(cpu, op);
        if (!TSource.OpensForRead(cpu, op, address, TWidth.Bytes))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        Product<TWidth, TExtension>(cpu, TWidth.Read(TSource.Readable(cpu, op, memory, address)));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    /// <summary>Register = operand × immediate, or × the register itself.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Truncating<TWidth, TSource, TByImmediate, TFlags>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TSource : struct, IOperand
        where TByImmediate : struct, IFlagUse
        where TFlags : struct, IFlagUse
    {
        var address = TSource.Locate(cpu, op);
        if (!TSource.OpensForRead(cpu, op, address, TWidth.Bytes))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        var destination = (byte*)cpu + op->Destination;
        var a = TWidth.SignExtend(TWidth.Read(TSource.Readable(cpu, op, memory, address)));
        var b = TByImmediate.Wanted ? TWidth.SignExtend((ulong)op->Immediate) : TWidth.SignExtend(TWidth.Read(destination));
        var low = a * b;
        TWidth.WriteRegister(destination, (ulong)low);
        if (TFlags.Wanted) SetFlags(cpu, TWidth.Bits == 64 ? HighHalf(a, b) != low >> 63 : TWidth.SignExtend((ulong)low) != low);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    /// <summary>MULX: both halves of RDX × operand to two registers, no flags.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Flagless<TWidth, TSource>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TSource : struct, IOperand
    {
        var address = TSource.Locate(cpu, op);
        if (!TSource.OpensForRead(cpu, op, address, TWidth.Bytes))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        var a = TWidth.ZeroExtend(cpu->Registers[Gpr.Rdx]);
        var b = TWidth.Read(TSource.Readable(cpu, op, memory, address));
        var low = a * b;
        var high = TWidth.Bits == 64 ? HighHalf(a, b) : low >> 32;

        // With one register for both the high half stays (SDM vol. 2, MULX).
        TWidth.WriteRegister((byte*)cpu + op->SecondSource, low);
        TWidth.WriteRegister((byte*)cpu + op->Destination, high);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    private static bool TryBuildFlagless(OpBuilder builder)
    {
        if (builder.Operand(0) is null || builder.Operand(2) is not { } source) return false;
        builder.Op->SecondSource = OpBuilder.OffsetOf(builder.Instruction.Op1Register);
        builder.Use(typeof(Multiply), nameof(Flagless), builder.Width(0), source);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Product<TWidth, TExtension>(CpuState* cpu, ulong operand)
        where TWidth : struct, IWidth
        where TExtension : struct, IExtension
    {
        var isSigned = typeof(TExtension) == typeof(SignedExtension);
        var a = TExtension.Extend<TWidth>(TWidth.ZeroExtend(cpu->Registers[Gpr.Rax]));
        var b = TExtension.Extend<TWidth>(operand);
        var low = a * b;
        bool isWide;
        if (TWidth.Bits == 64)
        {
            var high = isSigned ? (ulong)HighHalf((long)a, (long)b) : HighHalf(a, b);
            cpu->Registers[Gpr.Rax] = low;
            cpu->Registers[Gpr.Rdx] = high;
            isWide = high != (isSigned ? (ulong)((long)low >> 63) : 0);
        }
        else
        {
            isWide = isSigned ? TWidth.SignExtend(low) != (long)low : TWidth.ZeroExtend(low) != low;
            if (TWidth.Bits == 8)
            {
                Bits16.Write((byte*)&cpu->Registers[Gpr.Rax], low);
            }
            else
            {
                TWidth.WriteRegister((byte*)&cpu->Registers[Gpr.Rax], low);
                TWidth.WriteRegister((byte*)&cpu->Registers[Gpr.Rdx], low >> TWidth.Bits);
            }
        }

        SetFlags(cpu, isWide);
    }

    // BigMul wants the address of a local, and a handler with one of those cannot end in a jump: hence these two.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong HighHalf(ulong a, ulong b) => Math.BigMul(a, b, out _);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long HighHalf(long a, long b) => Math.BigMul(a, b, out _);

    private static void SetFlags(CpuState* cpu, bool isWide) => LazyFlags.SetBits(cpu, isWide ? LazyFlags.Carry | LazyFlags.Overflow : 0);
}
