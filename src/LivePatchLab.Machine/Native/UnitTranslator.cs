using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// Turns a trace into host code. The guest's registers are the host's, but that its RSP is R15, its R13 to R15 are in the frame, and R13
/// and R14 are the budget and a scratch register; guest memory is addressed through GS, or where that is, in R14. The status flags are the guest's at every
/// guest instruction: what is added either changes no flag (LEA, MOV, RORX, JRCXZ), or stands before an instruction that sets them all.
/// </summary>
/// <remarks>
/// A unit is paid for where its flags are dead, which is mostly some instructions behind its start, by one subtraction. So whoever enters a unit has
/// <see cref="Slack"/> instructions left, and R13 is what is left beyond them: enough for the instructions before the payment, and one more. Where it
/// does not suffice the CPU goes on in the precise form, in which each instruction pays for itself.
/// </remarks>
internal sealed unsafe partial class UnitTranslator(CodeMemory memory, NativeEmitter emitter, NativeThunks thunks, IndirectTable indirectTable, HostTrials trials, NativeHost host, nint origin)
{
    /// <summary>More than any unit or its precise form takes.</summary>
    public const int LargestCode = 32 * 1024;

    /// <summary>What is left at least where a unit is entered. Less makes more units pay where flags have to be kept; more has more of each turn run in precise forms.</summary>
    public const int Slack = 12;

    // Direct jumps lead to the start of what a processor fetches at once.
    private const int EntryAlignment = 32, IndirectEntryBytes = 19;

    private readonly NativeChecks _checks = new();
    private readonly InstructionInfoFactory _factory = new();
    private readonly RegisterHomes _homes = new();
    private readonly List<FaultPoint> _faults = [];
    private readonly List<NativeLink> _rounds = [];
    private readonly List<Action> _outOfLine = [];
    private readonly RflagsBits[] _seen = new RflagsBits[TraceBuilder.LongestTrace];
    private byte* _codeStart;
    private byte* _roundEntry;
    private ulong _start;
    private bool _isPrecise;

    // Instructions of the unit.
    private int _count;

    // What the guest's RSP is beyond the host's register for it: pushes and pops are added up until somebody asks.
    private int _stackStep;

    // Which of the guest's registers in the frame the scratch register has a copy of, or HeldOrigin, or -1.
    private int _held = -1;

    /// <summary>The unit of a trace; null where not even its first instruction can be translated.</summary>
    public (NativeUnit Unit, NativeCode Code)? Translate(TraceBuilder trace)
    {
        _count = trace.Count;
        while ((_count = Sufficient(trace.Trace[.._count])) > 0)
        {
            var instructions = trace.Trace[.._count];
            var rip = instructions[0].Instruction.IP;
            Start(isPrecise: false);
            _start = rip;
            _homes.Assign(instructions);
            _checks.Plan(instructions, isPrecise: false);
            PlanPayments(instructions);

            emitter.Align(EntryAlignment, IndirectEntryBytes);
            var indirectEntry = AskIndirect(rip);
            var entry = emitter.At;
            TakeHomes();
            _roundEntry = emitter.At;
            if (PaysKeepingFlags) PayKeepingFlags(rip);
            var untranslated = TranslateUntil(instructions);
            if (untranslated >= 0)
            {
                // What has no encoding after all is the interpreter's, and the unit ends before it.
                _count = untranslated;
                continue;
            }

            EndTrace(instructions);
            var code = Finish();
            var unit = new NativeUnit(rip, [.. trace.Segments], trace.CopyBytes(), trace.IsCutShort)
            {
                Count = _count,
                PaidAt = AddressesOfPayments(instructions),
                Entry = memory.Executable(entry),
                Rounds = [.. _rounds],
                RoundEntry = memory.Executable(_roundEntry),
                IndirectEntry = memory.Executable(indirectEntry),
            };
            return (unit, code);
        }

        return null;
    }

    /// <summary>
    /// The precise form of straight code: each instruction pays for itself, and nothing is carried from one to the next, so a CPU can stop before any of
    /// them and go on there. Null where some flag that the host leaves otherwise than the interpreter would be seen.
    /// </summary>
    public ((ulong Rip, nint Entry)[] Entries, NativeCode Code)? TranslatePrecise(TraceBuilder trace)
    {
        Start(isPrecise: true);
        var instructions = trace.Trace[..SufficientOfEach(trace.Trace)];
        if (instructions.IsEmpty) return null;
        _checks.Plan(instructions, isPrecise: true);
        var entries = new (ulong Rip, nint Entry)[instructions.Length];
        for (var i = 0; i < instructions.Length; i++)
        {
            var rip = instructions[i].Instruction.IP;
            entries[i] = (rip, memory.Executable((byte*)PayForOne(rip)));
            if (!TryTranslate(instructions, i)) return null;
            Settle();
            SettleStack();
        }

        EndTrace(instructions);
        return (entries, Finish());
    }

    /// <summary>A way from the table of indirect jumps into precise code.</summary>
    public nint WriteIndirectEntry(ulong rip, nint precise)
    {
        Start(isPrecise: true);
        var entry = AskIndirect(rip);
        emitter.Jump(memory.Writable(precise));
        Finish();
        return memory.Executable(entry);
    }

    /// <summary>From the table of indirect jumps, with the target in RCX and RCX borrowed: on if it is this one, else out.</summary>
    private byte* AskIndirect(ulong rip)
    {
        var entry = emitter.At;
        emitter.Lea(NativeEmitter.Rcx, NativeEmitter.Rcx, (int)-(long)rip);
        var elsewhere = (nint)emitter.JumpUnlessRcxIsZero();
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)elsewhere);
            emitter.Lea(NativeEmitter.Rcx, NativeEmitter.Rcx, (int)rip);
            emitter.Jump(memory.Writable(thunks.IndirectMiss));
        });
        emitter.LoadFrame(NativeEmitter.Rcx, NativeFrame.Borrowed);
        return entry;
    }

    private void Start(bool isPrecise)
    {
        _isPrecise = isPrecise;
        _faults.Clear();
        _rounds.Clear();
        _outOfLine.Clear();
        _waysOut.Clear();
        _homes.Clear();
        _held = -1;
        _stackStep = 0;
        _unsettled = default;
        _codeStart = memory.Next;
        emitter.Begin(memory.Next);
    }

    private NativeCode Finish()
    {
        for (var i = 0; i < _outOfLine.Count; i++) _outOfLine[i]();
        memory.Next = emitter.At;
        return new(memory.Executable(_codeStart), memory.Executable(emitter.At), [.. _faults], _homes.All.ToArray());
    }

    /// <summary>The first instruction that has no translation, or -1.</summary>
    private int TranslateUntil(ReadOnlySpan<TraceInstruction> instructions)
    {
        for (var i = 0; i < instructions.Length; i++)
        {
            if (_payments.Contains(i)) PayOverFlags(i, instructions[i].Instruction.IP);
            if (!TryTranslate(instructions, i)) return i;
        }

        return -1;
    }

    private void SettleStack()
    {
        MoveStack(_stackStep);
        _stackStep = 0;
    }

    private void MoveStack(int step)
    {
        if (step != 0) emitter.Lea(NativeEmitter.GuestRsp, NativeEmitter.GuestRsp, step);
    }

    private void Leave(NativeExit reason, ulong rip)
    {
        emitter.StoreFrameImmediate(NativeFrame.Rip, (int)rip);
        emitter.StoreFrameImmediate(NativeFrame.Exit, (int)reason);
        emitter.Jump(thunks.Leave);
    }

    /// <summary>A jump that leads to a unit once there is one, and until then out, to find it.</summary>
    /// <param name="jump">The place of its displacement.</param>
    /// <param name="target">The guest's address.</param>
    /// <param name="isPrecise">True where less than the slack may be left, so that only the unit's precise form will do.</param>
    private void Edge(byte* jump, ulong target, bool isPrecise)
    {
        var place = (nint)jump;
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)place);
            emitter.StoreFrameImmediate(NativeFrame.Rip, (int)target);
            emitter.Bytes(0x4c, 0x8d, 0x35);                                      // lea r14, [rip + …]: the jump
            emitter.Word32((int)((byte*)place - (emitter.At + 4)));
            if (isPrecise) emitter.Bytes(0x49, 0xf7, 0xd6);                       // not r14
            emitter.StoreFrame(NativeEmitter.Scratch, NativeFrame.Exit);
            emitter.Jump(thunks.Leave);
        });
    }

    /// <summary>Where the trace goes on when its last instruction has not left it.</summary>
    private void EndTrace(ReadOnlySpan<TraceInstruction> instructions)
    {
        ref readonly var last = ref instructions[^1];
        switch (last.Instruction.FlowControl)
        {
            case FlowControl.Next:
                ToEdge(last.Instruction.NextIP);
                break;
            case FlowControl.ConditionalBranch:
                ToEdge(last.GoesOnTaken ? last.Instruction.NearBranchTarget : last.Instruction.NextIP);
                break;
            case FlowControl.UnconditionalBranch:
            case FlowControl.Call:
                ToEdge(last.Instruction.NearBranchTarget);
                break;
            default:
                // An indirect branch that is not followed has gone; one that was goes on where it was expected to.
                if (last.IsFollowed) ToEdge(last.Next);
                break;
        }
    }

    private void ToEdge(ulong target)
    {
        SettleStack();
        if (_isPrecise)
        {
            ToEitherEdge(target, 0);
            return;
        }

        if (IsOwnStart(target))
        {
            EndRound();
            return;
        }

        Settle();
        GiveBackHomes();
        Edge(emitter.Jump(), target, isPrecise: false);
    }

    /// <summary>Has registers from the frame be in those of the host's that the unit does not use.</summary>
    private void TakeHomes()
    {
        for (var i = 0; i < _homes.Count; i++)
        {
            var (register, host) = _homes.All[i];
            emitter.StoreFrame(host, (byte)(NativeFrame.Displaced + (i * 8)));
            emitter.LoadFrame(host, NativeThunks.FrameSlot(register));
        }
    }

    private void GiveBackHomes()
    {
        for (var i = 0; i < _homes.Count; i++)
        {
            var (register, host) = _homes.All[i];
            emitter.StoreFrame(host, NativeThunks.FrameSlot(register));
            emitter.LoadFrame(host, (byte)(NativeFrame.Displaced + (i * 8)));
        }
    }

    private bool IsOwnStart(ulong target) => target == _start && !_isPrecise;

    /// <summary>True where the flags that are not right are set again before somebody sees them when the unit begins anew.</summary>
    private bool MayBeginAnew(ZeroedFlags unsettled) => (unsettled.All & _seenAtStart) == RflagsBits.None;

    /// <summary>On to the unit's own start.</summary>
    private void EndRound()
    {
        if (!MayBeginAnew(_unsettled)) Settle();
        EndRound(emitter.At + 1, _unsettled);
        emitter.Jump();
    }

    /// <summary>A jump from the unit to its own start keeps the homes. While the unit is not live it leads out.</summary>
    private void EndRound(byte* jump, ZeroedFlags unsettled)
    {
        var place = (nint)jump;
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)place);
            _rounds.Add(new(memory.Executable((byte*)place), memory.Executable(emitter.At)));
            Settle(unsettled);
            GiveBackHomes();
            Leave(NativeExit.Budget, _start);
        });
    }

    /// <summary>Takes instructions off the budget, and goes on in a unit if the slack is left, else in precise code.</summary>
    private void ToEitherEdge(ulong target, int count)
    {
        var tooLittle = TakeOffBudget(count);
        Edge(emitter.Jump(), target, isPrecise: false);
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)tooLittle);
            emitter.MoveRegister(NativeEmitter.Rcx, NativeEmitter.Scratch);
            Edge(emitter.Jump(), target, isPrecise: true);
        });
    }
}
