using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// RCL and RCR: rotates of one bit more than the operand has. A count that is a multiple of that goes once around and changes no flag, OF included: the SDM's
/// pseudo-code has no bit to rotate then (vol. 2, RCL/RCR/ROL/ROR).
/// </summary>
internal sealed unsafe class RotateThroughCarry : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Rcl, Mnemonic.Rcr];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } target) return false;
        var handler = builder.Instruction.Mnemonic == Mnemonic.Rcl ? nameof(Left) : nameof(Right);
        builder.Use(typeof(RotateThroughCarry), handler, builder.Width(0), target, Shift.CountOf(builder, 1));
        return true;
    }

    public override RflagsBits Overwrites(in Instruction instruction) => RflagsBits.None;

    // Of 8 and 16 bits a count in CL may go around, which no mask of it tells.
    public override ZeroedFlags Zeroed(in Instruction instruction)
    {
        var zeroed = Shift.ZeroedBy(instruction, 1, RflagsBits.None);
        var bits = instruction.Op0Kind == OpKind.Memory ? 8 * instruction.MemorySize.GetSize() : 8 * instruction.Op0Register.GetSize();
        if (bits >= 32) return zeroed;
        return zeroed.IsConditional || (instruction.GetImmediate(1) & Shift.CountMask(instruction)) % (ulong)(bits + 1) == 0 ? default : zeroed;
    }

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
        var value = TWidth.Read(target);
        var carry = LazyFlags.IsCarry(cpu) ? 1UL : 0;
        var overflow = ShiftFlags.TopTwoDiffer<TWidth>(value);
        var masked = TCount.Of(cpu, op) & (TWidth.Bits == 64 ? 63 : 31);
        var count = masked % (TWidth.Bits + 1);
        for (var i = 0; i < count; i++)
        {
            var shiftedOut = (value >> (TWidth.Bits - 1)) & 1;
            value = TWidth.ZeroExtend((value << 1) | carry);
            carry = shiftedOut;
        }

        TTarget.Write<TWidth>(target, value);
        if (count != 0) LazyFlags.Replace(cpu, LazyFlags.Carry | LazyFlags.Overflow, ShiftFlags.Of(carry, overflow, masked));
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
        var value = TWidth.Read(target);
        var carry = LazyFlags.IsCarry(cpu) ? 1UL : 0;
        var overflow = ((value >> (TWidth.Bits - 1)) ^ carry) & 1;
        var masked = TCount.Of(cpu, op) & (TWidth.Bits == 64 ? 63 : 31);
        var count = masked % (TWidth.Bits + 1);
        for (var i = 0; i < count; i++)
        {
            var shiftedOut = value & 1;
            value = (value >> 1) | (carry << (TWidth.Bits - 1));
            carry = shiftedOut;
        }

        TTarget.Write<TWidth>(target, value);
        if (count != 0) LazyFlags.Replace(cpu, LazyFlags.Carry | LazyFlags.Overflow, ShiftFlags.Of(carry, overflow, masked));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
