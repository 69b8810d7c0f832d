namespace LivePatchLab.Machine;

/// <summary>Where a string instruction stands when its loop ends.</summary>
internal enum StringOutcome
{
    Done,

    /// <summary>A slice of iterations is done, and there are more.</summary>
    Paused,

    /// <summary>The next element is not plain: the careful form must take it.</summary>
    NotPlain,

    /// <summary>The careful form has taken its one element, or must begin anew to take one; there are more.</summary>
    Again,

    Faulted,
}

/// <summary>
/// The registers of string instructions: RSI or FS/GS:RSI, RDI, RCX, with the address size of the instruction (SDM vol. 1, 7.3.9).
/// Progress is kept in the registers after every element, so an instruction that faults or pauses is gone on with by running it again; which
/// instruction that is, <see cref="RepeatedString"/> keeps for those that only pause.
/// </summary>
internal static unsafe class StringElements
{
    /// <summary>Iterations that one call of a handler does at most, so that a run comes back in bounded time.</summary>
    public const int SliceIterations = 4096;

    /// <summary>The iterations of one call: one under single-stepping, which traps after each (SDM vol. 3, 17.3.1.4).</summary>
    public static int Slice(CpuState* cpu) => (cpu->SystemFlags & SystemFlag.Trap) != 0 ? 1 : SliceIterations;

    public const byte NoRepeat = 0, RepeatEqual = 1, RepeatNotEqual = 2;

    public static ulong Source(CpuState* cpu, Op* op)
        => Offset(cpu, op, Gpr.Rsi) + ((op->Scale & AnyAddress.Fs) != 0 ? cpu->FsBase : 0) + ((op->Scale & AnyAddress.Gs) != 0 ? cpu->GsBase : 0);

    public static ulong Destination(CpuState* cpu, Op* op) => Offset(cpu, op, Gpr.Rdi);

    public static ulong Count(CpuState* cpu, Op* op) => Offset(cpu, op, Gpr.Rcx);

    public static void SetCount(CpuState* cpu, Op* op, ulong count) => cpu->Registers[Gpr.Rcx] = (op->Scale & AnyAddress.Truncate) != 0 ? (uint)count : count;

    /// <summary>
    /// A count that is, or has become, 0. With 32-bit addresses RCX is zero-extended even then: the SDM does not say, and Intel processors do so
    /// (and zero-extend RSI and RDI too for MOVS and STOS, not for the others; here they stay).
    /// </summary>
    public static StringOutcome DoneWithNone(CpuState* cpu, Op* op)
    {
        SetCount(cpu, op, 0);
        return StringOutcome.Done;
    }

    public static bool IsDescending(CpuState* cpu) => (cpu->SystemFlags & SystemFlag.Direction) != 0;

    public static void Advance(CpuState* cpu, Op* op, int register, ulong bytes)
    {
        var next = cpu->Registers[register] + (IsDescending(cpu) ? 0 - bytes : bytes);
        cpu->Registers[register] = (op->Scale & AnyAddress.Truncate) != 0 ? (uint)next : next;
    }

    /// <summary>How many elements from an address on are in its page; 0 where one crosses into the next.</summary>
    public static ulong ElementsInPage(ulong address, int bytes)
        => (GuestMemory.PageBytes - (address & (GuestMemory.PageBytes - 1))) / (ulong)bytes;

    /// <summary>Everything but <see cref="StringOutcome.Done"/>.</summary>
    public static void LeaveWith(StringOutcome outcome, CpuState* cpu, Op* op, byte* memory, long budget)
    {
        switch (outcome)
        {
            case StringOutcome.Paused:
                RepeatedString.Suspend(cpu, op);
                cpu->Exit = ExecutionExit.Repeating;
                Leave.NotRetired(cpu, op, memory, budget);
                return;
            case StringOutcome.NotPlain:
                Leave.ForCare(cpu, op, memory, budget);
                return;
            case StringOutcome.Again:
                RepeatedString.Suspend(cpu, op);
                Leave.ToRepeat(cpu, op, memory, budget);
                return;
            default:
                RepeatedString.End(cpu);
                Leave.Trapped(cpu, op, memory, budget);
                return;
        }
    }

    private static ulong Offset(CpuState* cpu, Op* op, int register)
        => (op->Scale & AnyAddress.Truncate) != 0 ? (uint)cpu->Registers[register] : cpu->Registers[register];
}
