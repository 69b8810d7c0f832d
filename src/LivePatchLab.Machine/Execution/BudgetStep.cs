using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>
/// The operation between the instructions of a precise block: pays for the next instruction, or stops before it. A CPU whose quantum
/// ends inside a block runs this form of it, so the common form need not count.
/// </summary>
internal static unsafe class BudgetStep
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pay(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (--budget < 0)
        {
            cpu->Current = op;
            cpu->Budget = 0;
            cpu->Reason = LeaveReason.OutOfBudget;
            return;
        }

        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
