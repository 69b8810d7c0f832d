using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// The registers of one CPU as the handlers see them: unmanaged, so that a handler reaches a register by its byte offset.
/// The status flags are lazy: <see cref="FlagKind"/> says how <see cref="LazyFlags"/> works them out of
/// <see cref="FlagA"/>, <see cref="FlagB"/> and <see cref="FlagC"/>. What a turn in translated code needs stands in the first four of the
/// host's cache lines: with many CPUs, each turn finds them out of its nearest cache.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CpuState
{
    /// <summary>RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 … R15, as the encoding numbers them.</summary>
    public fixed ulong Registers[16];

    /// <summary>Always 0: what "no base" and "no index" read.</summary>
    public ulong Zero;

    public ulong FlagA;
    public ulong FlagB;
    public ulong FlagC;
    public int FlagKind;

    /// <summary>The flags that are never lazy: IF, DF, TF, AC, … as RFLAGS has them.</summary>
    public uint SystemFlags;

    /// <summary>The address of the next instruction, whenever the interpreter is not running.</summary>
    public ulong Rip;

    /// <summary>RFLAGS.IF while STI or MOV SS holds interrupts off for one more instruction: guest code reads it as set, the machine as clear.</summary>
    public uint HeldInterruptFlag;

    /// <summary>Not 0 when a single-step trap is due behind an instruction that the machine had to be told of first.</summary>
    public int IsStepTrapDue;

    /// <summary>Bytes of the repeated string instruction that has begun and is not done (<see cref="RepeatedString"/>); else 0.</summary>
    public int RepeatLength;

    /// <summary>Not 0 while nothing runs on the CPU but guest code, and no interrupt is on its way to it: all that most turns need to know.</summary>
    public int IsPlainGuest;

    /// <summary>What the loop's caller is told of why it came back.</summary>
    public ExecutionExit Exit;

    /// <summary>The cycle clock at the entry of the run. RDTSC adds the instructions retired since.</summary>
    public long Clock;

    /// <summary>Guest instructions retired before the run.</summary>
    public long Retired;

    /// <summary>Where this CPU stopped in decoded code, or null when RIP must be looked up.</summary>
    public Op* Current;

    /// <summary>What was left of the instructions to retire when the handlers came back.</summary>
    public long Budget;

    /// <summary>Why translated code came back: a <see cref="LivePatchLab.Machine.NativeExit"/>, or where a jump stands that has no target yet.</summary>
    public ulong NativeExit;

    public byte* Memory;

    public byte* PageFlags;

    /// <summary>Where indirect jumps look for their target first: <see cref="JumpCache"/>, shared by the CPUs of a machine.</summary>
    public JumpCacheEntry* JumpCache;

    /// <summary>Why the handlers came back to the loop.</summary>
    public LeaveReason Reason;

    public ulong FsBase;
    public ulong GsBase;

    /// <summary>What SWAPGS exchanges with <see cref="GsBase"/>: IA32_KERNEL_GS_BASE.</summary>
    public ulong KernelGsBase;

    /// <summary>Instructions of this run that are not in the handlers' hands while a single instruction is run alone.</summary>
    public long BudgetBeyond;

    /// <summary>How many instructions this call of the interpreter may retire at most.</summary>
    public long RunLength;

    /// <summary>Of the decoded code that <see cref="Current"/> points into.</summary>
    public int Generation;

    /// <summary>What the frame of translated code kept of the guest's.</summary>
    public ulong NativeBorrowed;
    public ulong NativeTarget;
    public fixed ulong NativeDisplaced[3];
    public ulong NativeShiftCount;

    /// <summary>CR0, CR2, CR3, CR4 and CR8 as last written; the machine gives them no meaning here.</summary>
    public fixed ulong ControlRegisters[16];

    public int TrapVector;
    public uint TrapErrorCode;

    /// <summary>The address whose access faulted (CR2), for #PF.</summary>
    public ulong TrapAddress;

    public int CpuIndex;

    /// <summary>Not 0 at CPL 3: privileged instructions are #GP, and #PF carries the user bit.</summary>
    public int UserMode;

    /// <summary>Bytes of <see cref="StoreBounce"/> that the instruction run alone has still to write at <see cref="StoreAddress"/>; else 0.</summary>
    public int StoreBytes;

    public ulong StoreAddress;

    /// <summary>What stands in for memory while one instruction reads across pages.</summary>
    public fixed ulong LoadBounce[2];

    /// <summary>DR0 … DR7 as last written, likewise, without the bits that are fixed.</summary>
    public fixed ulong DebugRegisters[8];

    public DescriptorTable GlobalTable;
    public DescriptorTable InterruptTable;

    /// <summary>ES, CS, SS, DS, FS, GS as last loaded; those of CS and SS are not used, as they follow from the privilege level.</summary>
    public fixed ushort Selectors[6];

    /// <summary>The selectors that LLDT and LTR have loaded.</summary>
    public ushort LocalTable;
    public ushort TaskRegister;

    /// <summary>Not 0 when MOV SS has just retired, whose single-step trap is lost (SDM vol. 3, 6.8.3).</summary>
    public int IsStepTrapInhibited;

    /// <summary>As <see cref="ModelSpecificRegister"/> numbers them.</summary>
    public fixed ulong ModelSpecificRegisters[ModelSpecificRegister.Kept];

    /// <summary>Where the repeated string instruction stands that is not done, and its bytes as they were fetched.</summary>
    public ulong RepeatRip;
    public fixed byte RepeatBytes[16];

    /// <summary>
    /// What stands in for memory while one instruction writes across pages or to executable pages. The most is what ENTER pushes: RBP, 30
    /// frame pointers and the new one.
    /// </summary>
    public fixed ulong StoreBounce[StackFrame.WordsMax];
}
