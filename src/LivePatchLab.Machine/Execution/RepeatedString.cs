namespace LivePatchLab.Machine;

/// <summary>
/// A repeated string instruction is fetched once, whatever becomes of its bytes meanwhile, also by its own stores: iterations go on as the
/// instruction that began them, over every pause of the interpreter's, until it is done, faults, or an interrupt or trap comes in between, from which the
/// CPU comes back by fetching again (SDM vol. 2, REP: "suspended by an exception or interrupt"; vol. 3, 8.1.3, on what a store changes in the
/// pipeline: the instruction that stores is not among it).
/// </summary>
internal static unsafe class RepeatedString
{
    /// <summary>The operation comes back with iterations left. What is fetched from clean lines is what memory holds; see <see cref="NoteBytes"/> for the rest.</summary>
    public static void Suspend(CpuState* cpu, Op* op)
    {
        if (cpu->RepeatLength == 0) NoteBytes(cpu, op, new ReadOnlySpan<byte>(cpu->Memory + (long)op->Rip, op->Length));
    }

    /// <summary>The same for an instruction that was run alone, and may have been fetched from an older version of its line.</summary>
    public static void NoteBytes(CpuState* cpu, Op* op, ReadOnlySpan<byte> bytes)
    {
        cpu->RepeatRip = op->Address;
        cpu->RepeatLength = bytes.Length;
        bytes.CopyTo(new Span<byte>(cpu->RepeatBytes, InstructionFetch.LongestInstruction));
    }

    /// <summary>Whatever comes next is fetched.</summary>
    public static void End(CpuState* cpu) => cpu->RepeatLength = 0;

    /// <summary>The bytes of the instruction to go on with; empty where RIP is not at it any more.</summary>
    public static ReadOnlySpan<byte> Pending(CpuState* cpu)
    {
        if (cpu->RepeatRip != cpu->Rip) End(cpu);
        return new(cpu->RepeatBytes, cpu->RepeatLength);
    }
}
