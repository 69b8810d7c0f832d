namespace LivePatchLab.Exploration;

/// <summary>One step of a patcher, or of other kernel code, that a litmus test writes out.</summary>
public abstract record LitmusStep;

/// <summary>Writes bytes of a site through an alias. The writing CPU does not serialise by it.</summary>
/// <param name="Site">Which.</param>
/// <param name="Start">The first byte that is written.</param>
/// <param name="Length">How many.</param>
/// <param name="Bytes">What.</param>
/// <param name="IsByteByByte">One store for each byte, the first one first.</param>
public sealed record LitmusStore(string Site, int Start, int Length, LitmusBytes Bytes, bool IsByteByByte) : LitmusStep;

/// <summary>A step that needs nothing to be said about it.</summary>
public sealed record LitmusPlainStep(LitmusPlainStepKind Kind) : LitmusStep;

/// <summary>The steps that stand for themselves.</summary>
public enum LitmusPlainStepKind
{
    /// <summary>Every CPU serialises, by IPI.</summary>
    Sync,

    /// <summary>This CPU serialises.</summary>
    SyncHere,

    FenceRead,

    FenceWrite,

    FenceFull,

    /// <summary>Announces to the #BP handler that the sites are being patched.</summary>
    Publish,

    /// <summary>Takes that back.</summary>
    Retract,

    InterruptsOff,

    InterruptsOn,

    /// <summary>Takes text_mutex.</summary>
    Lock,

    Unlock,

    /// <summary>From now on only the new code may be seen.</summary>
    Return,
}

/// <summary>Makes the lines of a site known to instruction caches that are not coherent; nothing on any other model.</summary>
public sealed record LitmusMaintain(string Site) : LitmusStep;

/// <summary>Lets time pass.</summary>
public sealed record LitmusDelay(int Cycles) : LitmusStep;

/// <summary>Writes a variable.</summary>
public sealed record LitmusSet(string Variable, long Value) : LitmusStep;

/// <summary>Reads a variable into a register.</summary>
public sealed record LitmusGet(string Register, string Variable) : LitmusStep;

/// <summary>Waits until a variable has a value.</summary>
public sealed record LitmusAwait(string Variable, long Value) : LitmusStep;

/// <summary>A line of guest code.</summary>
/// <param name="Line">Where it stands in the file.</param>
public abstract record LitmusInstruction(int Line);

/// <summary>An instruction of the processor.</summary>
/// <param name="Line">Where it stands in the file.</param>
/// <param name="Mnemonic">As it is written.</param>
/// <param name="Operands">Its operands.</param>
/// <param name="IsLocked">With a LOCK prefix.</param>
public sealed record LitmusMnemonic(int Line, string Mnemonic, IReadOnlyList<LitmusOperand> Operands, bool IsLocked) : LitmusInstruction(Line);

/// <summary>The site itself stands here.</summary>
public sealed record LitmusSiteHere(int Line, string Site) : LitmusInstruction(Line);

/// <summary>A place to jump to.</summary>
public sealed record LitmusLabel(int Line, string Name) : LitmusInstruction(Line);

/// <summary>Bytes as they are.</summary>
public sealed record LitmusRawBytes(int Line, IReadOnlyList<byte> Bytes) : LitmusInstruction(Line);

/// <summary>This CPU writes bytes of a site: through the address that it executes from, by one store of 1, 2, 4 or 8 bytes; or through an alias, by a system call of the lab's own.</summary>
public sealed record LitmusGuestStore(int Line, LitmusStore Store, bool IsAlias) : LitmusInstruction(Line);

/// <summary>An operand: one of a register, a number, a variable in brackets, a label.</summary>
public sealed record LitmusOperand(LitmusOperandKind Kind, string Name, long Number);

/// <summary>What an operand is.</summary>
public enum LitmusOperandKind
{
    Register,
    Number,
    Variable,
    Label,
}
