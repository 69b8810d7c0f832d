using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>
/// How a chain of handlers ends. Each has a handler's signature and is called in tail position. A block has been paid for as a
/// whole when it was entered, so whoever leaves in its middle gives back what it does not retire.
/// </summary>
internal static unsafe class Leave
{
    /// <summary>The block at <paramref name="op"/> costs more than is left; its cost has been taken off already.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void BeforeBlock(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->Current = op;
        cpu->Budget = budget + op->RemainingInstructions;
        cpu->Reason = LeaveReason.OutOfBudget;
    }

    /// <summary>The handler of the stub of an edge that leads nowhere yet.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ByUnlinkedEdge(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->Current = op;
        cpu->Budget = budget;
        cpu->Reason = LeaveReason.UnlinkedEdge;
    }

    /// <summary>The handler behind an operation that runs alone: go on at the address in the immediate.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ToNext(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->Rip = (ulong)op->Immediate;
        cpu->Budget = budget;
        cpu->Reason = LeaveReason.FindRip;
    }

    /// <summary>
    /// An indirect branch to an address of which no block is at hand. It retires, unless the address is not canonical: that is #GP(0)
    /// of the branch itself, so it must have changed nothing yet (SDM vol. 2, JMP, CALL, RET).
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void ToTarget(CpuState* cpu, Op* op, ulong target, long budget)
    {
        if (!CarefulAccess.IsCanonical(target))
        {
            WithGeneralProtection(cpu, op, cpu->Memory, budget);
            return;
        }

        cpu->Rip = target;
        cpu->Budget = budget;
        cpu->Reason = LeaveReason.FindRip;
    }

    /// <summary>The operation has done a part of its work, and does the rest when it is run again.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void ToRepeat(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->Rip = op->Address;
        cpu->Budget = budget + op->RemainingInstructions;
        cpu->Reason = LeaveReason.FindRip;
    }

    /// <summary>The operation retires, and the interpreter's loop looks at the flags before the next instruction.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void ToLoop(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->Rip = op->NextAddress;
        cpu->Budget = budget + op->RemainingInstructions - 1;
        cpu->Reason = LeaveReason.FindRip;
    }

    /// <summary>An operand did not open: the one of the two that is memory says what follows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Refused<TTarget, TSource>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TTarget : struct, IOperand
        where TSource : struct, IOperand
    {
        if (typeof(TTarget) == typeof(CarefulMemory) || typeof(TSource) == typeof(CarefulMemory)) Trapped(cpu, op, memory, budget);
        else ForCare(cpu, op, memory, budget);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void ForCare(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->Current = op;
        cpu->Budget = budget + op->RemainingInstructions;
        cpu->Reason = LeaveReason.NeedsCare;
    }

    /// <summary>The operation faults with the trap that has been recorded: it does not retire, and RIP stays on it.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Trapped(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->Exit = ExecutionExit.Trap;
        NotRetired(cpu, op, memory, budget);
    }

    /// <summary>#GP(0).</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void WithGeneralProtection(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        Traps.Record(cpu, Traps.GeneralProtection);
        Trapped(cpu, op, memory, budget);
    }

    /// <summary>Back to the caller with the exit that is set; the operation does not retire.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void NotRetired(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->Rip = op->Address;
        cpu->Budget = budget + op->RemainingInstructions;
        cpu->Reason = LeaveReason.Exited;
    }

    /// <summary>Back to the caller with <paramref name="exit"/>; the operation retires.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Retired(CpuState* cpu, Op* op, long budget, ExecutionExit exit)
    {
        cpu->Rip = op->NextAddress;
        cpu->Exit = exit;
        cpu->Budget = budget + op->RemainingInstructions - 1;
        cpu->Reason = LeaveReason.Exited;
    }
}
