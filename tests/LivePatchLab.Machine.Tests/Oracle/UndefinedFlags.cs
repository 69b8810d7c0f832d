using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>Which flags mean nothing behind an instruction: those that it leaves undefined, and those that were so and stay.</summary>
internal static class UndefinedFlags
{
    public static RflagsBits After(in Instruction instruction, RflagsBits before)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Shld or Mnemonic.Shrd:
            case Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr:
                return AfterShift(instruction, before);
            case Mnemonic.Bsf or Mnemonic.Bsr:
                return (before | instruction.RflagsUndefined) & ~RflagsBits.ZF;
            default:
                return (before & ~instruction.RflagsModified) | instruction.RflagsUndefined;
        }
    }

    public static uint InRflags(RflagsBits bits)
    {
        uint flags = 0;
        if ((bits & RflagsBits.CF) != 0) flags |= LazyFlags.Carry;
        if ((bits & RflagsBits.PF) != 0) flags |= LazyFlags.Parity;
        if ((bits & RflagsBits.AF) != 0) flags |= LazyFlags.Adjust;
        if ((bits & RflagsBits.ZF) != 0) flags |= LazyFlags.Zero;
        if ((bits & RflagsBits.SF) != 0) flags |= LazyFlags.Sign;
        if ((bits & RflagsBits.OF) != 0) flags |= LazyFlags.Overflow;
        return flags;
    }

    /// <summary>A count of 0 changes nothing; OF is defined for 1 alone; CF is not where SHL or SHR have shifted everything out (SDM vol. 2).</summary>
    private static RflagsBits AfterShift(in Instruction instruction, RflagsBits before)
    {
        var bits = 8 * (instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op0Register.GetSize());
        var rotates = instruction.Mnemonic is Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr;
        var isDouble = instruction.Mnemonic is Mnemonic.Shld or Mnemonic.Shrd;
        var last = instruction.OpCount - 1;
        var losesCarry = instruction.Mnemonic is Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr || (isDouble && bits == 16);
        var always = rotates ? RflagsBits.None : RflagsBits.AF;
        if (instruction.GetOpKind(last) is not (OpKind.Immediate8 or OpKind.Immediate8to16 or OpKind.Immediate8to32 or OpKind.Immediate8to64))
            return before | always | RflagsBits.OF | (losesCarry && bits < 32 ? RflagsBits.CF : 0);

        var count = (int)instruction.GetImmediate(last) & (bits == 64 ? 63 : 31);
        if (count == 0) return before;
        var undefined = always | (count == 1 ? RflagsBits.None : RflagsBits.OF) | (losesCarry && count >= bits ? RflagsBits.CF : 0);
        var defined = rotates ? RflagsBits.CF | RflagsBits.OF : FlagLiveness.Status;

        // RCL and RCR by a multiple of the operand's bits and one more leave CF as it was, defined or not.
        if (instruction.Mnemonic is Mnemonic.Rcl or Mnemonic.Rcr) defined &= ~RflagsBits.CF;
        return (before & ~defined) | undefined;
    }
}
