using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// MOV to and from CR0, CR2, CR3, CR4 and CR8: the values are kept, and mean nothing to this machine; a write serialises (SDM vol. 3,
/// 9.3; not of CR8, which the machine treats alike). <see cref="Move"/> hands them over. CR2 also gets the address of
/// a page fault.
/// </summary>
internal static unsafe class ControlRegister
{
    public static bool IsMove(in Instruction instruction) => instruction.Op0Register.IsCR() || instruction.Op1Register.IsCR();

    public static bool TryBuildMove(OpBuilder builder)
    {
        ref readonly var instruction = ref builder.Instruction;
        var writes = instruction.Op0Register.IsCR();
        var number = (writes ? instruction.Op0Register : instruction.Op1Register) - Register.CR0;
        if (number is not (0 or 2 or 3 or 4 or 8)) return false;
        builder.Op->Immediate = number;
        builder.Op->Source = OpBuilder.OffsetOf(writes ? instruction.Op1Register : instruction.Op0Register);
        builder.Use(typeof(ControlRegister), writes ? nameof(Write) : nameof(Read));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Read(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (cpu->UserMode != 0)
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        *(ulong*)((byte*)cpu + op->Source) = cpu->ControlRegisters[(int)op->Immediate];
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (cpu->UserMode != 0)
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        var value = *(ulong*)((byte*)cpu + op->Source);
        if (value > Highest((int)op->Immediate))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        cpu->ControlRegisters[(int)op->Immediate] = value;
        Leave.Retired(cpu, op, budget, ExecutionExit.Serialised);
    }

    /// <summary>The reserved upper bits of CR0, CR4 and CR8 may not be set (SDM vol. 3, 2.5); of CR4 those are told from the rest by halves only.</summary>
    private static ulong Highest(int number) => number switch
    {
        0 or 4 => uint.MaxValue,
        8 => 15,
        _ => ulong.MaxValue,
    };
}
