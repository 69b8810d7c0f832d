using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// SHLD and SHRD. OF is defined for a count of 1 alone, as with all shifts. For 16-bit operands a count above 16 gives an undefined result: ours is that of the 48 bits target:source:target
/// (SHLD) shifted, which is what Intel processors do.
/// </summary>
internal sealed unsafe class DoubleShift : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Shld, Mnemonic.Shrd];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } target || builder.Operand(1) is null) return false;
        var handler = builder.Instruction.Mnemonic == Mnemonic.Shld ? nameof(Left) : nameof(Right);
        builder.Use(typeof(DoubleShift), handler, builder.Width(0), target, Shift.CountOf(builder, 2));
        return true;
    }

    public override RflagsBits Overwrites(in Instruction instruction)
        => Shift.OverwritesFlags(instruction, 2) ? FlagLiveness.Status : RflagsBits.None;

    public override ZeroedFlags Zeroed(in Instruction instruction) => Shift.ZeroedBy(instruction, 2, RflagsBits.AF);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Left<TWidth, TTarget, TCount>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TCount : struct, IShiftCount
    {
        var address = TTarget.Locate(cpu, op);
        if (!TTarget.OpensForWrite(cpu, op, address, TWidth.Bytes))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        var target = TTarget.Writable(cpu, op, memory, address);
        var count = TCount.Of(cpu, op) & (TWidth.Bits == 64 ? 63 : 31);
        ulong value = TWidth.Read(target), filler = TWidth.Read((byte*)cpu + op->Source), result = value;
        if (count != 0)
        {
            ulong carry;
            if (TWidth.Bits == 16)
            {
                // In 48 bits: what is shifted in after the source is the target again.
                var wide = (value << 32) | (filler << 16) | value;
                result = (ushort)(wide << count >> 32);
                carry = (wide >> (48 - count)) & 1;
            }
            else
            {
                result = (value << count) | (filler >> (TWidth.Bits - count));
                carry = (value >> (TWidth.Bits - count)) & 1;
            }

            LazyFlags.SetResult<TWidth>(cpu, result, ShiftFlags.Of(carry, ShiftFlags.TopTwoDiffer<TWidth>(value), count));
        }

        TTarget.Write<TWidth>(target, result);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Right<TWidth, TTarget, TCount>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TCount : struct, IShiftCount
    {
        var address = TTarget.Locate(cpu, op);
        if (!TTarget.OpensForWrite(cpu, op, address, TWidth.Bytes))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        var target = TTarget.Writable(cpu, op, memory, address);
        var count = TCount.Of(cpu, op) & (TWidth.Bits == 64 ? 63 : 31);
        ulong value = TWidth.Read(target), filler = TWidth.Read((byte*)cpu + op->Source), result = value;
        if (count != 0)
        {
            ulong carry;
            if (TWidth.Bits == 16)
            {
                var wide = (value << 32) | (filler << 16) | value;
                result = (ushort)(wide >> count);
                carry = (wide >> (count - 1)) & 1;
            }
            else
            {
                result = (value >> count) | (filler << (TWidth.Bits - count));
                carry = (value >> (count - 1)) & 1;
            }

            LazyFlags.SetResult<TWidth>(cpu, result, ShiftFlags.Of(carry, ((value >> (TWidth.Bits - 1)) ^ filler) & 1, count));
        }

        TTarget.Write<TWidth>(target, result);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
