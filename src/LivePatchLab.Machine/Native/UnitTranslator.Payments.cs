using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>When instructions are taken off the budget: a stretch of them at once, and one by one only where that does not fit.</summary>
internal sealed unsafe partial class UnitTranslator
{
    // A payment is one instruction of the host's, and what it pays for is executed precisely where it does not fit into what is left of a turn: that takes some times as long.
    private const int ShortestStretch = 24;

    // Of the budget, which no run has more of than 2^48, these bits are 0 unless it is less than 0.
    private const byte SignRotation = 48;

    // How many ways out of a precise form stand together: no more than JRCXZ reaches over.
    private const int WaysOutTogether = 4, ShortReach = 128;

    // The instructions before which a stretch is paid for, where the flags may be lost, and how many run before the first payment.
    private readonly List<int> _payments = [];
    private readonly Queue<nint> _waysOut = [];
    private int _paidAt;

    /// <summary>Divides a unit into stretches. The first begins with the unit and may be paid for behind its start; each of the others begins where it is paid for.</summary>
    private void PlanPayments(ReadOnlySpan<TraceInstruction> trace)
    {
        _payments.Clear();
        var first = FindPayment(trace);
        if (first >= 0) _payments.Add(first);
        _paidAt = Math.Max(first, 0);
        for (var i = _paidAt + ShortestStretch; i <= trace.Length - ShortestStretch; i++)
        {
            if (!NativeFlags.IsKiller(trace[i].Instruction)) continue;
            _payments.Add(i);
            i += ShortestStretch - 1;
        }
    }

    private bool PaysKeepingFlags => _payments.Count == 0 || _payments[0] != _paidAt;

    private ulong[] AddressesOfPayments(ReadOnlySpan<TraceInstruction> trace)
    {
        var addresses = new List<ulong>(_payments.Count + 1);
        if (PaysKeepingFlags) addresses.Add(trace[0].Instruction.IP);
        foreach (var payment in _payments) addresses.Add(trace[payment].Instruction.IP);
        return [.. addresses];
    }

    /// <summary>The instruction before which the flags may be lost, and before which there is nothing that leads to unknown places; -1 where there is none.</summary>
    private static int FindPayment(ReadOnlySpan<TraceInstruction> trace)
    {
        for (var i = 0; i < Math.Min(trace.Length, Slack); i++)
        {
            ref readonly var entry = ref trace[i];
            if (NativeFlags.IsKiller(entry.Instruction)) return i;
            if (entry.Instruction.FlowControl is not (FlowControl.Next or FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch or FlowControl.Call)) return -1;
        }

        return -1;
    }

    /// <summary>Where the stretch ends that an instruction belongs to.</summary>
    private int EndOfStretch(int index)
    {
        foreach (var payment in _payments)
            if (payment > index && payment > _paidAt) return payment;
        return _count;
    }

    /// <summary>Instructions to be given back where one of the trace has not retired.</summary>
    private int RefundAt(int index) => _isPrecise ? 1 : index < _paidAt ? -index : EndOfStretch(index) - index;

    /// <summary>Takes a stretch off the budget before an instruction that sets all flags and is sure to run: a CPU that stops here has one left for it.</summary>
    private void PayOverFlags(int index, ulong rip)
    {
        var (refund, step) = (EndOfStretch(index) - index, _stackStep);
        emitter.Subtract(NativeEmitter.Budget, index == _paidAt ? refund + index : refund);
        var tooLittle = (nint)emitter.JumpIf(NativeEmitter.IfLess);
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)tooLittle);
            emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, refund);
            MoveStack(step);
            GiveBackHomes();
            Edge(emitter.Jump(), rip, isPrecise: true);
        });
    }

    private void PayKeepingFlags(ulong rip)
    {
        var count = EndOfStretch(0);
        var tooLittle = TakeOffBudget(count);
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)tooLittle);
            emitter.MoveRegister(NativeEmitter.Rcx, NativeEmitter.Scratch);
            emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, count);
            GiveBackHomes();
            Edge(emitter.Jump(), rip, isPrecise: true);
        });
    }

    /// <summary>
    /// Takes instructions off the budget, with all flags and registers as they were but the scratch register; gives the jump, with RCX in that, where less than the
    /// slack is left.
    /// </summary>
    private nint TakeOffBudget(int count)
    {
        _held = -1;
        emitter.MoveRegister(NativeEmitter.Scratch, NativeEmitter.Rcx);
        if (count != 0) emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, -count);
        emitter.RotateRight(NativeEmitter.Rcx, NativeEmitter.Budget, SignRotation);
        emitter.Bytes(0x0f, 0xb7, 0xc9);                                          // movzx ecx, cx
        var tooLittle = (nint)emitter.JumpUnlessRcxIsZero();
        emitter.MoveRegister(NativeEmitter.Rcx, NativeEmitter.Scratch);
        return tooLittle;
    }

    /// <summary>Takes one instruction off the budget, or stops before it where nothing is left, with all flags and registers as they were but the scratch register.</summary>
    /// <returns>Where that begins.</returns>
    private nint PayForOne(ulong rip)
    {
        _held = -1;
        if (_waysOut.Count == 0 || emitter.At - (byte*)_waysOut.Peek() > ShortReach - 16) PlaceWaysOut();
        var entry = (nint)emitter.At;
        emitter.MoveRegister(NativeEmitter.Scratch, NativeEmitter.Rcx);
        emitter.Lea(NativeEmitter.Rcx, NativeEmitter.Budget, Slack);
        var nothingLeft = _waysOut.Dequeue();
        emitter.JumpBackIfRcxIsZero((byte*)nothingLeft);
        emitter.MoveRegister(NativeEmitter.Rcx, NativeEmitter.Scratch);
        emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, -1);
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)nothingLeft + 1);
            emitter.MoveRegister(NativeEmitter.Rcx, NativeEmitter.Scratch);
            Leave(NativeExit.Budget, rip);
        });
        return entry;
    }

    /// <summary>JRCXZ reaches no further than a few instructions, so the long jumps stand between these, some together, that only one in so many has to be stepped over.</summary>
    private void PlaceWaysOut()
    {
        // Those that are left over are too far away to be of use, and nothing leads to them.
        _waysOut.Clear();
        emitter.Bytes(0xeb, WaysOutTogether * 5);                                 // jmp over them
        for (var i = 0; i < WaysOutTogether; i++)
        {
            _waysOut.Enqueue((nint)emitter.At);
            emitter.Jump(emitter.At);
        }
    }
}
