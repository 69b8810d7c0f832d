using System.Buffers.Binary;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>A stretch of memory of the trial process, which the tests see too.</summary>
/// <param name="Start">Where it is there; the tests have it elsewhere (<see cref="TrialProcess.Window"/>).</param>
/// <param name="Bytes">Whole pages.</param>
/// <param name="Permissions">What trials may do there. The tests may write everywhere.</param>
internal readonly record struct TrialMapping(GuestAddress Start, int Bytes, PagePermissions Permissions);

/// <summary>
/// The program of the trial process, a static ELF of one page of code, which needs neither a compiler nor a library. It goes from trial to trial
/// by signals alone: the handler writes down where the trial has come to, puts the registers of the next one into the context that it was called
/// with, and returns there. So a trial may leave any register, the stack pointer too, with any value, and every trial ends by a signal.
/// </summary>
internal static class TrialProgram
{
    /// <summary>Where the program itself is. Trials have no business there.</summary>
    public const ulong Start = 0x100_0000, StateStart = 0x110_0000;

    /// <summary>Where the tests and the program talk to each other; the records begin behind it.</summary>
    public static readonly GuestAddress Header = new(0x200_0000);

    /// <summary>In the header: the record whose trial runs, the end of the records to try, and whether the fence stands (0) or why not.</summary>
    public const int Current = 0, End = 8, Fence = 16, HeaderBytes = 64;

    // In the program's own memory.
    private const ulong Starting = StateStart, Act = StateStart + 64, AlternateStack = StateStart + 128, FilterProgram = StateStart + 192, Buffer = StateStart + 256;
    private const ulong StackTop = StateStart + 0x8000, AlternateStackStart = StackTop;
    private const int AlternateStackBytes = 0x1_8000, StateBytes = 0x2_0000, CodeBytes = 4096;

    private const int Read = 0, Write = 1, Open = 2, Close = 3, Mmap = 9, RtSigaction = 13, RtSigreturn = 15, Exit = 60, Sigaltstack = 131, Prctl = 157, ArchPrctl = 158;

    private const int SetGs = 0x1001, SetFs = 0x1002, GetFs = 0x1003, GetGs = 0x1004;

    // struct ucontext: flags, link and stack come before the registers; the pointer to the state of FPU and vectors comes behind them.
    private const int Registers = 40, FloatingPointState = Registers + (8 * TrialRecord.WordsAfter);

    // __USER_CS and __USER_DS of Linux, as CS and SS.
    private const ulong FlatSelectors = 0x002b_0000_0000_0033;

    private static readonly int Stride = System.Runtime.CompilerServices.Unsafe.SizeOf<TrialRecord>();

    /// <summary>The whole file. Its only argument is the path of the file to share.</summary>
    /// <param name="mappings">What of that file is mapped where, one behind the other.</param>
    public static byte[] Make(IReadOnlyList<TrialMapping> mappings)
    {
        const int HeadBytes = 64, SegmentBytes = 56, Segments = 3, CodeOffset = HeadBytes + (Segments * SegmentBytes);
        var code = TestMachine.Assemble(Start + CodeOffset, a => WriteCode(a, mappings));
        if (CodeOffset + code.Length > CodeBytes) throw new InvalidOperationException($"the trial program has {code.Length} bytes");
        var file = new byte[CodeOffset + code.Length];
        ReadOnlySpan<byte> identity = [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        identity.CopyTo(file);
        Put(0x10, 2, 2); // ET_EXEC
        Put(0x12, 62, 2); // EM_X86_64
        Put(0x14, 1, 4);
        Put(0x18, Start + CodeOffset, 8);
        Put(0x20, HeadBytes, 8);
        Put(0x34, HeadBytes, 2);
        Put(0x36, SegmentBytes, 2);
        Put(0x38, Segments, 2);
        const int Load = 1, Stack = 0x6474_e551, ReadWrite = 6, ReadExecute = 5;
        PutSegment(0, Load, ReadExecute, Start, (ulong)file.Length, (ulong)file.Length);
        PutSegment(1, Load, ReadWrite, StateStart, 0, StateBytes);

        // Without it some kernels make all memory executable.
        PutSegment(2, Stack, ReadWrite, 0, 0, 0);
        code.CopyTo(file, CodeOffset);
        return file;

        void Put(int at, ulong value, int bytes)
        {
            Span<byte> word = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(word, value);
            word[..bytes].CopyTo(file.AsSpan(at));
        }

        void PutSegment(int index, uint type, uint flags, ulong address, ulong fileBytes, ulong memoryBytes)
        {
            var at = HeadBytes + (index * SegmentBytes);
            Put(at, type, 4);
            Put(at + 4, flags, 4);
            Put(at + 16, address, 8);
            Put(at + 24, address, 8);
            Put(at + 32, fileBytes, 8);
            Put(at + 40, memoryBytes, 8);
            Put(at + 48, 0x1000, 8);
        }
    }

    private static void WriteCode(Assembler a, IReadOnlyList<TrialMapping> mappings)
    {
        Label fail = a.CreateLabel(), wait = a.CreateLabel(), handler = a.CreateLabel(), restorer = a.CreateLabel(), filter = a.CreateLabel();
        MapMemory(a, mappings, fail);
        CatchSignals(a, handler, restorer, fail);
        RaiseFence(a, filter);

        // Says that it is ready, or done, and waits for the next batch. Nobody there any more is the end.
        a.Label(ref wait);
        SystemCall(a, Write, 1, Buffer, 1);
        SystemCall(a, Read, 0, Buffer, 1);
        a.cmp(eax, 1);
        a.mov(edi, 0);
        var isOver = a.CreateLabel();
        a.jne(isOver);
        a.mov(__dword_ptr[Starting], 1);
        a.int3();

        a.Label(ref fail);
        a.mov(edi, 2);
        a.Label(ref isOver);
        a.mov(eax, Exit);
        a.syscall();

        a.Label(ref handler);
        HandleSignal(a, wait);
        a.Label(ref restorer);
        a.mov(eax, RtSigreturn);
        a.syscall();
        a.ud2();

        a.Label(ref filter);
        foreach (var operation in Filter(Start, Start + CodeBytes)) a.dq(operation);
    }

    private static void MapMemory(Assembler a, IReadOnlyList<TrialMapping> mappings, Label fail)
    {
        const int ReadWrite = 2, SharedFixed = 0x11;
        a.mov(rdi, __qword_ptr[rsp + 16]);
        a.mov(esi, ReadWrite);
        a.mov(eax, Open);
        a.syscall();
        a.test(eax, eax);
        a.js(fail);
        a.mov(r12d, eax);
        var offset = 0L;
        foreach (var mapping in mappings)
        {
            // PagePermissions has the values of PROT_*.
            a.mov(rdi, mapping.Start.Value);
            a.mov(esi, mapping.Bytes);
            a.mov(edx, Protection(mapping.Permissions));
            a.mov(r10d, SharedFixed);
            a.mov(r8, r12);
            a.mov(r9, offset);
            a.mov(eax, Mmap);
            a.syscall();
            a.cmp(rax, rdi);
            a.jne(fail);
            offset += mapping.Bytes;
        }

        a.mov(edi, r12d);
        a.mov(eax, Close);
        a.syscall();
    }

    private static int Protection(PagePermissions permissions)
        => (permissions.HasFlag(PagePermissions.Read) ? 1 : 0) | (permissions.HasFlag(PagePermissions.Write) ? 2 : 0) | (permissions.HasFlag(PagePermissions.Execute) ? 4 : 0);

    private static void CatchSignals(Assembler a, Label handler, Label restorer, Label fail)
    {
        // SA_SIGINFO, SA_RESTORER, SA_ONSTACK, SA_NODEFER.
        const int HandlerFlags = 0x4c00_0004;
        a.mov(rax, AlternateStackStart);
        a.mov(__qword_ptr[AlternateStack], rax);
        a.mov(__qword_ptr[AlternateStack + 16], AlternateStackBytes);
        SystemCall(a, Sigaltstack, AlternateStack, 0, 0);
        a.test(eax, eax);
        a.jne(fail);
        a.lea(rax, __[handler]);
        a.mov(__qword_ptr[Act], rax);
        a.mov(__qword_ptr[Act + 8], HandlerFlags);
        a.lea(rax, __[restorer]);
        a.mov(__qword_ptr[Act + 16], rax);
        foreach (var signal in Enum.GetValues<TrialSignal>())
        {
            if (signal == TrialSignal.EndOfProcess) continue;
            a.mov(r10d, 8);
            SystemCall(a, RtSigaction, (ulong)signal, Act, 0);
            a.test(eax, eax);
            a.jne(fail);
        }
    }

    /// <summary>From here on only the program itself can call the kernel; what a trial calls is a SIGSYS. A kernel without seccomp has no fence, which the tests are told.</summary>
    private static void RaiseFence(Assembler a, Label filter)
    {
        const int SetNoNewPrivileges = 38, SetSeccomp = 22, ModeFilter = 2, FilterLength = 7;
        a.mov(__qword_ptr[FilterProgram], FilterLength);
        a.lea(rax, __[filter]);
        a.mov(__qword_ptr[FilterProgram + 8], rax);
        a.xor(r10d, r10d);
        a.xor(r8d, r8d);
        SystemCall(a, Prctl, SetNoNewPrivileges, 1, 0);
        SystemCall(a, Prctl, SetSeccomp, ModeFilter, FilterProgram);
        a.mov(__qword_ptr[Header.Value + Fence], rax);
    }

    /// <summary>A filter of seccomp: struct sock_filter has the operation, two jumps and a constant; seccomp_data has the instruction pointer at 8.</summary>
    private static ulong[] Filter(ulong start, ulong end)
    {
        const ushort LoadWord = 0x20, IfEqual = 0x15, IfAtLeast = 0x35, Return = 0x06;
        const uint Allow = 0x7fff_0000, Trap = 0x0003_0000;
        return
        [
            Operation(LoadWord, 0, 0, 12),
            Operation(IfEqual, 0, 4, 0),
            Operation(LoadWord, 0, 0, 8),
            Operation(IfAtLeast, 0, 2, (uint)start),
            Operation(IfAtLeast, 1, 0, (uint)end),
            Operation(Return, 0, 0, Allow),
            Operation(Return, 0, 0, Trap),
        ];

        static ulong Operation(ushort code, byte isTrue, byte isFalse, uint constant) => code | ((ulong)isTrue << 16) | ((ulong)isFalse << 24) | ((ulong)constant << 32);
    }

    /// <summary>handler(signal, info, context): in EDI, RSI, RDX. Nothing has to be preserved but the context.</summary>
    private static void HandleSignal(Assembler a, Label wait)
    {
        const int StartedRsp = 15;
        Label load = a.CreateLabel(), finished = a.CreateLabel(), leave = a.CreateLabel();
        a.mov(rbx, __qword_ptr[Header.Value + Current]);
        a.mov(rbp, rdx);
        a.cmp(__dword_ptr[Starting], 0);
        a.mov(__dword_ptr[Starting], 0);
        a.jne(load);

        a.mov(eax, edi);
        a.mov(__qword_ptr[rbx + OffsetOf(nameof(TrialRecord.Signal))], rax);
        a.movsxd(rax, __dword_ptr[rsi + 8]);
        a.mov(__qword_ptr[rbx + OffsetOf(nameof(TrialRecord.SignalCode))], rax);
        a.mov(rax, __qword_ptr[rsi + 16]);
        a.mov(__qword_ptr[rbx + OffsetOf(nameof(TrialRecord.SignalAddress))], rax);
        a.lea(rsi, __[rbp + Registers]);
        a.lea(rdi, __[rbx + OffsetOf(nameof(TrialRecord.After))]);
        a.mov(ecx, TrialRecord.WordsAfter);
        a.rep.movsq();
        AssemblerRegisterSegment[] segments = [ds, es, fs, gs];
        for (var i = 0; i < segments.Length; i++)
        {
            a.mov(eax, segments[i]);
            a.mov(__qword_ptr[rbx + OffsetOf(nameof(TrialRecord.Selectors)) + (8 * i)], rax);
        }

        AskBase(a, GetFs, nameof(TrialRecord.FsBaseAfter));
        AskBase(a, GetGs, nameof(TrialRecord.GsBaseAfter));
        a.add(rbx, Stride);
        a.mov(__qword_ptr[Header.Value + Current], rbx);

        a.Label(ref load);
        a.cmp(rbx, __qword_ptr[Header.Value + End]);
        a.jae(finished);

        // The kernel takes from the context the flags that a debugger would set, and leaves the others, ID and NT, as they are here.
        a.push(0x202);
        a.popfq();
        a.xor(eax, eax);
        a.mov(ds, eax);
        a.mov(es, eax);
        SetBase(a, SetFs, nameof(TrialRecord.FsBase));
        SetBase(a, SetGs, nameof(TrialRecord.GsBase));
        a.lea(rsi, __[rbx + OffsetOf(nameof(TrialRecord.Before))]);
        a.lea(rdi, __[rbp + Registers]);
        a.mov(ecx, TrialRecord.WordsBefore);
        a.rep.movsq();
        a.jmp(leave);

        a.Label(ref finished);
        a.lea(rax, __[wait]);
        a.mov(__qword_ptr[rbp + Registers + (8 * TrialRecord.Rip)], rax);
        a.mov(__qword_ptr[rbp + Registers + (8 * StartedRsp)], (int)StackTop);
        a.mov(__qword_ptr[rbp + Registers + (8 * TrialRecord.Flags)], 0x202);

        // Without a state of FPU and vectors the kernel gives the next trial a fresh one.
        a.Label(ref leave);
        a.mov(__qword_ptr[rbp + FloatingPointState], 0);
        a.mov(rax, FlatSelectors);
        a.mov(__qword_ptr[rbp + Registers + (8 * TrialRecord.CodeSelectors)], rax);
        a.ret();
    }

    private static void AskBase(Assembler a, int question, string field)
    {
        a.mov(edi, question);
        a.lea(rsi, __[rbx + OffsetOf(field)]);
        a.mov(eax, ArchPrctl);
        a.syscall();
    }

    private static void SetBase(Assembler a, int request, string field)
    {
        a.mov(edi, request);
        a.mov(rsi, __qword_ptr[rbx + OffsetOf(field)]);
        a.mov(eax, ArchPrctl);
        a.syscall();
    }

    private static int OffsetOf(string field) => (int)System.Runtime.InteropServices.Marshal.OffsetOf<TrialRecord>(field);

    private static void SystemCall(Assembler a, int number, ulong first, ulong second, ulong third)
    {
        a.mov(rdi, first);
        a.mov(rsi, second);
        a.mov(rdx, third);
        a.mov(eax, number);
        a.syscall();
    }
}
