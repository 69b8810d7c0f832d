using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>Which flags a code may leave to the processor's taste, whatever operands it has, and which an instance of it does.</summary>
internal static class LeftUndefined
{
    /// <summary>
    /// True where some immediate or kind of operand leaves something undefined. Iced tells it of an instance, and takes an RCL or RCR that goes once around for one that
    /// does nothing, where AMD's processors change OF.
    /// </summary>
    public static bool ByCode(in Instruction original)
    {
        var instruction = original;
        if (IsCounted(instruction) || By(instruction).All != RflagsBits.None) return true;
        for (var operand = 0; operand < instruction.OpCount; operand++)
        {
            if (!IsByte(instruction.GetOpKind(operand))) continue;
            for (var immediate = 0; immediate <= byte.MaxValue; immediate++)
            {
                SetByte(ref instruction, operand, (byte)immediate);
                if (By(instruction).All != RflagsBits.None) return true;
            }
        }

        return false;
    }

    /// <summary>What this very instruction leaves undefined.</summary>
    public static ZeroedFlags By(in Instruction instruction)
    {
        var family = InstructionTable.Of(instruction);
        var zeroed = family.Zeroed(instruction);
        if (IsCounted(instruction)) return zeroed;
        var always = zeroed.Always | instruction.RflagsUndefined;
        if (family is RotateThroughCarry && (instruction.GetImmediate(instruction.OpCount - 1) & Shift.CountMask(instruction)) > 1) always |= RflagsBits.OF;
        return zeroed with { Always = always };
    }

    /// <summary>True for a shift by CL: whether it sets flags depends on the count.</summary>
    public static bool IsCounted(in Instruction instruction)
        => InstructionTable.Of(instruction) is Shift or RotateThroughCarry or DoubleShift && instruction.GetOpKind(instruction.OpCount - 1) == OpKind.Register;

    /// <summary>Writes what makes all of that come out otherwise than the lab has it; false where there is nothing.</summary>
    public static bool WriteContrary(NativeEmitter emitter, in Instruction instruction)
    {
        var zeroed = InstructionTable.Of(instruction).Zeroed(instruction);
        var others = By(instruction).Always & ~zeroed.Always;
        if ((zeroed.All | others) == RflagsBits.None) return false;
        FlagRepair.WriteContrary(emitter, zeroed, others);
        return true;
    }

    public static bool IsByte(OpKind kind) => kind is OpKind.Immediate8 or OpKind.Immediate8to16 or OpKind.Immediate8to32 or OpKind.Immediate8to64;

    public static void SetByte(ref Instruction instruction, int operand, byte immediate)
        => instruction.SetImmediate(operand, instruction.GetOpKind(operand) == OpKind.Immediate8 ? immediate : (long)(sbyte)immediate);
}
