using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>What each instruction does with the flags, as far as the translator must know.</summary>
internal static class NativeFlags
{
    /// <summary>It sets all six whatever they were, reads none, and cannot fault: what they held before it is seen by nobody.</summary>
    public static bool IsKiller(in Instruction instruction)
        => instruction.Mnemonic is Mnemonic.Add or Mnemonic.Sub or Mnemonic.And or Mnemonic.Or or Mnemonic.Xor or Mnemonic.Cmp or Mnemonic.Test or Mnemonic.Neg
            && NativeInstructions.MemoryOperand(instruction) < 0 && NativeInstructions.IsTranslated(instruction);

    /// <summary>
    /// For each instruction the flags that somebody may see behind it before they are set again: one that reads them, one that may fault
    /// or leave, or whoever comes behind the last.
    /// </summary>
    /// <returns>Those that somebody may see of what was there before the first.</returns>
    public static RflagsBits FindSeen(ReadOnlySpan<TraceInstruction> trace, Span<RflagsBits> seenAfter)
    {
        var seen = FlagLiveness.Status;
        for (var i = trace.Length - 1; i >= 0; i--)
        {
            ref readonly var instruction = ref trace[i].Instruction;
            seenAfter[i] = seen;
            var family = InstructionTable.Of(instruction);
            if (family.MayLeave(instruction) || instruction.FlowControl != FlowControl.Next) seen = FlagLiveness.Status;
            else seen = (seen & ~family.Overwrites(instruction)) | (instruction.RflagsRead & FlagLiveness.Status);
        }

        return seen;
    }
}
