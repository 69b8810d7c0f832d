using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>CMPXCHG, CMPXCHG8B and CMPXCHG16B. The destination is opened for writing whether or not it changes, as processors do.</summary>
internal sealed unsafe class CompareAndExchange : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Cmpxchg, Mnemonic.Cmpxchg8b, Mnemonic.Cmpxchg16b];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } target) return false;
        switch (builder.Instruction.Mnemonic)
        {
            case Mnemonic.Cmpxchg:
                builder.Operand(1);
                builder.Use(typeof(CompareAndExchange), nameof(One), builder.Width(0), target);
                return true;
            case Mnemonic.Cmpxchg8b:
                builder.Use(typeof(CompareAndExchange), nameof(Pair), typeof(Bits32), target);
                return true;
            default:
                builder.Use(typeof(CompareAndExchange), nameof(Pair), typeof(Bits64), target);
                return true;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void One<TWidth, TTarget>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
    {
        var address = TTarget.Locate(cpu, op);
        if (!TTarget.OpensForWrite(cpu, op, address, TWidth.Bytes))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        var target = TTarget.Writable(cpu, op, memory, address);
        var accumulator = (byte*)&cpu->Registers[Gpr.Rax];
        ulong expected = TWidth.Read(accumulator), found = TWidth.Read(target);
        if (expected == found) TTarget.Write<TWidth>(target, TWidth.Read((byte*)cpu + op->Source));
        else TWidth.WriteRegister(accumulator, found);
        LazyFlags.Set(cpu, LazyFlags.Subtract + TWidth.Log2Bytes, expected, found);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pair<TWidth, TTarget>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
    {
        var address = TTarget.Locate(cpu, op);
        if (TWidth.Bits == 64 && (address & 15) != 0)
        {
            // CMPXCHG16B alone of these demands alignment (SDM vol. 2, CMPXCHG8B/CMPXCHG16B).
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        if (!TTarget.OpensForWrite(cpu, op, address, 2 * TWidth.Bytes))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        var target = TTarget.Writable(cpu, op, memory, address);
        var half = TWidth.Bytes;
        ulong low = TWidth.Read(target), high = TWidth.Read(target + half);
        var equal = low == TWidth.ZeroExtend(cpu->Registers[Gpr.Rax]) && high == TWidth.ZeroExtend(cpu->Registers[Gpr.Rdx]);
        if (equal)
        {
            TWidth.Write(target, cpu->Registers[Gpr.Rbx]);
            TWidth.Write(target + half, cpu->Registers[Gpr.Rcx]);
        }
        else
        {
            cpu->Registers[Gpr.Rax] = low;
            cpu->Registers[Gpr.Rdx] = high;
        }

        LazyFlags.Replace(cpu, LazyFlags.Zero, equal ? LazyFlags.Zero : 0);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
