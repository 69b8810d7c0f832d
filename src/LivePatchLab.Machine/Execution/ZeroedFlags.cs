using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// The flags that an instruction leaves undefined by the SDM and that are 0 here, whatever processor the host has. What they come out as is the lab's own
/// choice, and 0 can be put right afterwards from nothing: neither operands nor earlier flags have to be kept for it.
/// </summary>
/// <param name="Always">Undefined, so 0.</param>
/// <param name="Counted">0 where the count in CL is not 0 after masking; a count of 0 changes no flag.</param>
/// <param name="CountedTwice">0 where that count is more than 1, the only one for which they are defined.</param>
/// <param name="CountMask">The bits of CL that count; 0 where CL is no count.</param>
internal readonly record struct ZeroedFlags(RflagsBits Always, RflagsBits Counted = RflagsBits.None, RflagsBits CountedTwice = RflagsBits.None, byte CountMask = 0)
{
    public RflagsBits All => Always | Counted | CountedTwice;

    public bool IsConditional => (Counted | CountedTwice) != RflagsBits.None;

    public ZeroedFlags Only(RflagsBits flags) => this with { Always = Always & flags, Counted = Counted & flags, CountedTwice = CountedTwice & flags };

    /// <summary>Those that are 0 behind a given count.</summary>
    public RflagsBits With(ulong count)
    {
        var counted = (int)(byte)count & CountMask;
        return Always | (counted != 0 ? Counted : RflagsBits.None) | (counted > 1 ? CountedTwice : RflagsBits.None);
    }
}
