using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// Flags that the lab has 0 and the host perhaps not. They are put right where somebody sees them, and nowhere else: before an instruction that reads them, and where
/// the unit is left. At a fault the engine does it, by what the fault point says (<see cref="NativeEngine"/>).
/// </summary>
internal sealed unsafe partial class UnitTranslator
{
    // Those that are not right before the instruction that is being translated.
    private ZeroedFlags _unsettled;

    // What may be seen at the unit's start of the flags that are there.
    private RflagsBits _seenAtStart;

    /// <summary>
    /// How many instructions from the first on have no flag but such that can be put right, of those that can be seen behind them. Behind the last one all can, so one
    /// that is left out may take others with it.
    /// </summary>
    private int Sufficient(ReadOnlySpan<TraceInstruction> trace)
    {
        while (true)
        {
            _seenAtStart = NativeFlags.FindSeen(trace, _seen);
            var count = CountFit(trace);
            if (count == trace.Length) return count;
            trace = trace[..count];
        }
    }

    /// <summary>The same where a CPU may stop behind each of them.</summary>
    private int SufficientOfEach(ReadOnlySpan<TraceInstruction> trace)
    {
        _seen.AsSpan().Fill(FlagLiveness.Status);
        return CountFit(trace);
    }

    private int CountFit(ReadOnlySpan<TraceInstruction> trace)
    {
        for (var i = 0; i < trace.Length; i++)
        {
            ref readonly var instruction = ref trace[i].Instruction;
            if (NativeInstructions.IsNothing(instruction)) continue;
            var difference = trials.Of(instruction);
            if (difference.IsUnfit || (difference.Flags & _seen[i]) != RflagsBits.None) return i;
        }

        return trace.Length;
    }

    /// <summary>Before an instruction: what it reads, or keeps under a condition, is put right.</summary>
    private void SettleForReader(in Instruction instruction)
    {
        if (_unsettled.All == RflagsBits.None) return;
        var isRead = (_unsettled.All & instruction.RflagsRead) != RflagsBits.None;
        if (LeftUndefined.IsCounted(instruction))
        {
            // With a count of 0 they stay, so they must be right before; what is 0 with another count too may be put right behind it.
            isRead |= _unsettled.IsConditional || (_unsettled.Always & InstructionTable.Of(instruction).Writes(instruction) & ~LeftUndefined.By(instruction).Counted) != RflagsBits.None;
        }

        if (isRead) Settle();
    }

    /// <summary>The flags behind an instruction: which of them are now right, or wrong.</summary>
    private void NoteFlags(in Instruction instruction)
    {
        if (host.DiffersInUndefinedFlags && LeftUndefined.WriteContrary(emitter, instruction)) _held = -1;

        var zeroed = InstructionTable.Of(instruction).Zeroed(instruction).Only(trials.Of(instruction).Zeroed);
        if (LeftUndefined.IsCounted(instruction))
        {
            if (zeroed.IsConditional) _unsettled = zeroed with { Always = _unsettled.Always, Counted = zeroed.Counted & ~_unsettled.Always };
            return;
        }

        _unsettled = _unsettled.Only(~(InstructionTable.Of(instruction).Writes(instruction) | zeroed.Always));
        _unsettled = _unsettled with { Always = _unsettled.Always | zeroed.Always };
    }

    /// <summary>Puts all flags right, with what follows in view.</summary>
    private void Settle()
    {
        Settle(_unsettled);
        _unsettled = default;
    }

    private void Settle(ZeroedFlags unsettled)
    {
        if (unsettled.All == RflagsBits.None) return;
        _held = -1;
        FlagRepair.WriteZero(emitter, unsettled);
    }
}
