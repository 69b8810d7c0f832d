using System.Runtime.InteropServices;

namespace LivePatchLab.Machine.Tests;

/// <summary>One trial, as <see cref="TrialProgram"/> finds it in the memory that it shares with the tests: the state before, and what Linux told of the end.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct TrialRecord
{
    /// <summary>R8 … R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP, RFLAGS: struct sigcontext_64 from its start on (Linux, arch/x86/include/uapi/asm/sigcontext.h, v6.1).</summary>
    public fixed ulong Before[WordsBefore];

    public ulong FsBase, GsBase;

    /// <summary>si_signo, si_code and si_addr of the signal that ended it.</summary>
    public ulong Signal, SignalCode, SignalAddress;

    /// <summary>The same context at the end, and behind it selectors, error code, trap number, mask and CR2.</summary>
    public fixed ulong After[WordsAfter];

    /// <summary>DS, ES, FS and GS at the end.</summary>
    public fixed ulong Selectors[4];

    public ulong FsBaseAfter, GsBaseAfter;

    public const int WordsBefore = 18, WordsAfter = 23;

    public const int Rip = 16, Flags = 17, CodeSelectors = 18, ErrorCode = 19, TrapNumber = 20, FaultAddress = 22;

    // By the number of the encoding: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 …
    private static ReadOnlySpan<byte> Order => [13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7];

    /// <summary>RAX … R15 as the encoding numbers them.</summary>
    public void SetRegister(int number, ulong value) => Before[Order[number]] = value;

    public readonly ulong RegisterBefore(int number) => Before[Order[number]];

    public readonly ulong RegisterAfter(int number) => After[Order[number]];
}

/// <summary>The signals by which Linux tells of exceptions on x86.</summary>
internal enum TrialSignal
{
    Sigill = 4,
    Sigtrap = 5,
    Sigbus = 7,
    Sigfpe = 8,
    Sigsegv = 11,

    /// <summary>A system call of the trial's own, which the fence around it refuses.</summary>
    Sigsys = 31,

    /// <summary>None that could be caught: the whole process ended, or went on for ever.</summary>
    EndOfProcess = 256,
}

/// <summary>How a trial ended, taken out of its record.</summary>
/// <param name="Signal">Which signal.</param>
/// <param name="Code">si_code; the status of the process where that has ended.</param>
/// <param name="Address">si_addr.</param>
/// <param name="Trap">The exception's vector (REG_TRAPNO of the context).</param>
/// <param name="ErrorCode">Its error code (REG_ERR).</param>
/// <param name="Rip">Where: at the instruction for faults, behind it for traps.</param>
internal readonly record struct TrialEnd(TrialSignal Signal, int Code, ulong Address, int Trap, uint ErrorCode, ulong Rip)
{
    public static unsafe TrialEnd Of(in TrialRecord record)
        => new((TrialSignal)record.Signal, (int)record.SignalCode, record.SignalAddress, (int)record.After[TrialRecord.TrapNumber], (uint)record.After[TrialRecord.ErrorCode], record.After[TrialRecord.Rip]);

    public override string ToString() => Signal == TrialSignal.EndOfProcess
        ? $"the process ended with status {Code}"
        : $"{Signal.ToString().ToUpperInvariant()} {Code}, vector {Trap}, error code {ErrorCode:x}, address {Address:x}, at {Rip:x}";
}
