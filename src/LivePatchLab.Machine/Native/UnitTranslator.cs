using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// Turns a trace into host code. The guest's registers are the host's, but that its RSP is R15, its R13 to R15 are in the frame, and R13
/// and R14 are the budget and a scratch register; guest memory is addressed through GS. The status flags are the guest's at every
/// guest instruction, except OF, which the frame keeps from where the budget is paid to the next instruction that sets or reads it: ADOX
/// is the one way to compare without touching the other flags.
/// </summary>
internal sealed unsafe partial class UnitTranslator(CodeMemory memory, NativeEmitter emitter, NativeThunks thunks, IndirectTable indirectTable, FlagFidelity fidelity)
{
    /// <summary>More than any unit or its precise form takes.</summary>
    public const int LargestCode = 32 * 1024;

    private readonly NativeChecks _checks = new();
    private readonly InstructionInfoFactory _factory = new();
    private readonly List<FaultPoint> _faults = [];
    private readonly List<Action> _outOfLine = [];
    private readonly RflagsBits[] _seen = new RflagsBits[TraceBuilder.LongestTrace];
    private byte* _codeStart;
    private bool _overflowInFrame;
    private bool _isOverflowClear;

    // What the guest's RSP is beyond the host's register for it: pushes and pops are added up until somebody asks.
    private int _stackStep;

    // Which of the guest's registers in the frame the scratch register has a copy of, or -1.
    private int _held = -1;

    /// <summary>The unit of a trace; null where not even its first instruction can be translated.</summary>
    public (NativeUnit Unit, NativeCode Code)? Translate(TraceBuilder trace)
    {
        Start();
        NativeFlags.FindSeen(trace.Trace, _seen);
        var count = Sufficient(trace.Trace);
        if (count == 0) return null;
        var instructions = trace.Trace[..count];
        _checks.Plan(instructions, isPrecise: false);

        var rip = instructions[0].Instruction.IP;
        var indirectEntry = emitter.At;
        PayBudget(count);
        var shortBudgetFromIndirect = emitter.JumpIf(NativeEmitter.IfOverflow);
        emitter.StoreFrame(NativeEmitter.Scratch, NativeFrame.Overflow);
        emitter.LoadFrame(NativeEmitter.Scratch, NativeFrame.Target);
        var elsewhere = JumpUnlessScratchIs(rip);
        var pastBudget = emitter.Jump();

        var entry = emitter.At;
        PayBudget(count);
        var shortBudget = emitter.JumpIf(NativeEmitter.IfOverflow);
        if (IsOverflowKept(instructions)) emitter.StoreFrame(NativeEmitter.Scratch, NativeFrame.Overflow);
        emitter.Land(pastBudget);
        _overflowInFrame = _isOverflowClear = true;
        for (var i = 0; i < instructions.Length; i++)
        {
            var (at, faults, outOfLine, state) = ((nint)emitter.At, _faults.Count, _outOfLine.Count, (_overflowInFrame, _isOverflowClear, _stackStep));
            if (TryTranslate(instructions, i, refund: count - i)) continue;
            if (i == 0) return null;

            // What has no encoding after all is the interpreter's; what was written of it is taken back, and the instructions from here on given back.
            emitter.Begin((byte*)at);
            _faults.RemoveRange(faults, _faults.Count - faults);
            _outOfLine.RemoveRange(outOfLine, _outOfLine.Count - outOfLine);
            (_overflowInFrame, _isOverflowClear, _stackStep) = state;
            ToEdge(instructions[i].Instruction.IP, count - i);
            instructions = default;
        }

        if (!instructions.IsEmpty) EndTrace(instructions);

        // The budget does not cover the unit: give it back, and leave, or go on in the precise form.
        emitter.Land(shortBudget);
        emitter.RotateScratchByOne();
        emitter.TopBitToOverflow(NativeEmitter.Scratch);
        emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, count);
        var shortBudgetJump = emitter.Jump();
        emitter.Land(shortBudgetJump);
        Leave(NativeExit.Budget, rip);

        // By an indirect jump, which may not even have wanted to come here: only then does the machine look for itself.
        emitter.Land(shortBudgetFromIndirect);
        emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, count);
        emitter.StoreFrame(NativeEmitter.Scratch, NativeFrame.Overflow);
        emitter.ClearOverflow();
        emitter.LoadFrame(NativeEmitter.Scratch, NativeFrame.Target);
        var elsewhereToo = JumpUnlessScratchIs(rip);
        emitter.RestoreOverflow();
        emitter.Jump(shortBudgetJump - 1);
        emitter.Land(elsewhereToo);
        emitter.RestoreOverflow();
        emitter.Jump(IndirectMiss);
        emitter.Land(elsewhere);
        emitter.RestoreOverflow();
        emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, count);
        emitter.Jump(IndirectMiss);
        var code = Finish();

        var unit = new NativeUnit(rip, [.. trace.Segments], trace.CopyBytes(), trace.IsCutShort)
        {
            Count = count,
            Entry = memory.Executable(entry),
            IndirectEntry = memory.Executable(indirectEntry),
            ShortBudgetJump = memory.Executable(shortBudgetJump),
        };
        return (unit, code);
    }

    /// <summary>
    /// The precise form of straight code: each instruction pays for itself, and nothing is carried from one to the next, so a CPU can stop before any of
    /// them and go on there. Null where some flag that the host leaves otherwise than the interpreter would be seen.
    /// </summary>
    public ((ulong Rip, nint Entry)[] Entries, NativeCode Code)? TranslatePrecise(TraceBuilder trace)
    {
        Start();
        _seen.AsSpan().Fill(FlagLiveness.Status);
        var instructions = trace.Trace[..Sufficient(trace.Trace)];
        if (instructions.IsEmpty) return null;
        _checks.Plan(instructions, isPrecise: true);
        var entries = new (ulong Rip, nint Entry)[instructions.Length];
        for (var i = 0; i < instructions.Length; i++)
        {
            var rip = instructions[i].Instruction.IP;
            if (_overflowInFrame) RestoreOverflow();
            entries[i] = (rip, memory.Executable(emitter.At));
            PayBudget(1);
            var shortBudget = (nint)emitter.JumpIf(NativeEmitter.IfOverflow);
            _outOfLine.Add(() =>
            {
                emitter.Land((byte*)shortBudget);
                emitter.RotateScratchByOne();
                emitter.TopBitToOverflow(NativeEmitter.Scratch);
                emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, 1);
                Leave(NativeExit.Budget, rip);
            });
            emitter.StoreFrame(NativeEmitter.Scratch, NativeFrame.Overflow);
            _overflowInFrame = _isOverflowClear = true;
            if (!TryTranslate(instructions, i, refund: 1)) return null;
            SettleStack();
        }

        EndTrace(instructions);
        return (entries, Finish());
    }

    private byte* IndirectMiss => memory.Writable(thunks.IndirectMiss);

    private void Start()
    {
        _faults.Clear();
        _outOfLine.Clear();
        _overflowInFrame = false;
        _held = -1;
        _stackStep = 0;
        _codeStart = memory.Next;
        emitter.Begin(memory.Next);
    }

    private NativeCode Finish()
    {
        for (var i = 0; i < _outOfLine.Count; i++) _outOfLine[i]();
        memory.Next = emitter.At;
        return new(memory.Executable(_codeStart), memory.Executable(emitter.At), [.. _faults]);
    }

    /// <summary>How many instructions from the first on give the flags that can be seen behind them as the interpreter does.</summary>
    private int Sufficient(ReadOnlySpan<TraceInstruction> trace)
    {
        for (var i = 0; i < trace.Length; i++)
        {
            ref readonly var instruction = ref trace[i].Instruction;
            if (instruction.RflagsUndefined != RflagsBits.None && !fidelity.IsFaithful(instruction, _seen[i])) return i;
        }

        return trace.Length;
    }

    /// <summary>Takes instructions off the budget; OF says then whether it was enough, and the scratch register has the guest's OF in bit 0.</summary>
    private void PayBudget(int count)
    {
        _held = -1;
        emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, -count);
        emitter.MoveRegister(NativeEmitter.Scratch, NativeEmitter.Budget);
        emitter.TopBitToOverflow(NativeEmitter.Scratch);
    }

    private void RestoreOverflow()
    {
        emitter.RestoreOverflow();
        _overflowInFrame = false;
        _held = -1;
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

    /// <summary>True where something may ask for the OF with which the unit was entered, if only at a fault.</summary>
    private bool IsOverflowKept(ReadOnlySpan<TraceInstruction> trace)
    {
        for (var i = 0; i < trace.Length; i++)
        {
            ref readonly var instruction = ref trace[i].Instruction;
            foreach (var check in _checks.Before(i))
                if (check.KeepsFlags) return true;
            if (_checks.Before(i).Count > 0) return false;
            if (instruction.FlowControl != FlowControl.Next || InstructionTable.Of(instruction).MayLeave(instruction) || NativeFlags.NeedsOverflow(instruction)) return true;
            if (NativeFlags.SetsOverflow(instruction)) return false;
        }

        return true;
    }

    private void Leave(NativeExit reason, ulong rip)
    {
        emitter.StoreFrameImmediate(NativeFrame.Rip, (int)rip);
        emitter.StoreFrameImmediate(NativeFrame.Exit, (int)reason);
        emitter.Jump(thunks.Leave);
    }

    /// <summary>Goes on at another address, with instructions given back.</summary>
    private void ToEdge(ulong target, int refund)
    {
        SettleStack();
        if (_overflowInFrame) RestoreOverflow();
        if (refund != 0) emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, refund);
        Edge(emitter.Jump(), target);
    }

    /// <summary>A jump that leads to a unit once there is one, and until then out, to find it.</summary>
    private void Edge(byte* jump, ulong target)
    {
        var place = (nint)jump;
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)place);
            emitter.StoreFrameImmediate(NativeFrame.Rip, (int)target);
            emitter.Bytes(0x4c, 0x8d, 0x35);                                      // lea r14, [rip + …]: the jump
            emitter.Word32((int)((byte*)place - (emitter.At + 4)));
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
                ToEdge(last.Instruction.NextIP, 0);
                break;
            case FlowControl.ConditionalBranch:
                ToEdge(last.GoesOnTaken ? last.Instruction.NearBranchTarget : last.Instruction.NextIP, 0);
                break;
            case FlowControl.UnconditionalBranch:
            case FlowControl.Call:
                ToEdge(last.Instruction.NearBranchTarget, 0);
                break;
            default:
                // An indirect branch that is not followed has gone; one that was goes on where it was expected to.
                if (last.IsFollowed) ToEdge(last.Next, 0);
                break;
        }
    }
}
