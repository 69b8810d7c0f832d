using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// Which flags of each instruction can be seen: by an instruction that reads them, by one that may leave the block, or behind the
/// block. It is exact, so a fault or the end of a quantum anywhere finds the flags that a processor would have.
/// </summary>
internal static class FlagLiveness
{
    public const RflagsBits Status = RflagsBits.OF | RflagsBits.SF | RflagsBits.ZF | RflagsBits.AF | RflagsBits.CF | RflagsBits.PF;

    public static void Find(ReadOnlySpan<Instruction> block, Span<RflagsBits> seenAfter)
    {
        var seen = Status;
        for (var i = block.Length - 1; i >= 0; i--)
        {
            seenAfter[i] = seen;
            var family = InstructionTable.Of(block[i]);
            if (family.MayLeave(block[i])) seen = Status;
            else seen = (seen & ~family.Overwrites(block[i])) | (block[i].RflagsRead & Status);
        }
    }
}
