using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// MOV to and from DR0 … DR7, which <see cref="Move"/> hands over. The values are kept and set no breakpoint; a write serialises
/// (SDM vol. 3, 9.3). DR4 and DR5 are DR6 and DR7 unless CR4.DE is set (17.2.2), where they are #UD.
/// </summary>
internal static unsafe class DebugRegister
{
    private const int Status = 6, Control = 7;

    // CR4.DE.
    private const ulong DebuggingExtensions = 1 << 3;

    // Bits that read as 1 whatever was written, and those that may be written (SDM vol. 3, figure 17-1).
    private const ulong StatusOnes = 0xffff_0ff0, StatusBits = 0xe00f, ControlOnes = 0x400, ControlBits = 0xffff_2bff;

    public static bool IsMove(in Instruction instruction) => instruction.Op0Register.IsDR() || instruction.Op1Register.IsDR();

    public static bool TryBuildMove(OpBuilder builder)
    {
        ref readonly var instruction = ref builder.Instruction;
        var writes = instruction.Op0Register.IsDR();
        var number = (writes ? instruction.Op0Register : instruction.Op1Register) - Register.DR0;
        if (number > Control) return false;
        builder.Op->Immediate = number;
        builder.Op->Source = OpBuilder.OffsetOf(writes ? instruction.Op1Register : instruction.Op0Register);
        builder.Use(typeof(DebugRegister), writes ? nameof(Write) : nameof(Read));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Read(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (IsRefused(cpu, op))
        {
            Leave.Trapped(cpu, op, memory, budget);
            return;
        }

        var number = Actual(op);
        var ones = number == Status ? StatusOnes : number == Control ? ControlOnes : 0;
        *(ulong*)((byte*)cpu + op->Source) = cpu->DebugRegisters[number] | ones;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (IsRefused(cpu, op))
        {
            Leave.Trapped(cpu, op, memory, budget);
            return;
        }

        var number = Actual(op);
        var value = *(ulong*)((byte*)cpu + op->Source);
        if (number >= Status && value > uint.MaxValue)
        {
            // The upper halves of DR6 and DR7 are reserved (SDM vol. 3, 17.2.6).
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        cpu->DebugRegisters[number] = number switch
        {
            Status => value & StatusBits,
            Control => value & ControlBits,
            _ => value,
        };
        Leave.Retired(cpu, op, budget, ExecutionExit.Serialised);
    }

    private static int Actual(Op* op) => (int)op->Immediate is 4 or 5 ? (int)op->Immediate + 2 : (int)op->Immediate;

    /// <summary>True, with the trap recorded, where the register may not be touched: #UD comes before #GP (SDM vol. 2, MOV DR).</summary>
    private static bool IsRefused(CpuState* cpu, Op* op)
    {
        if (op->Immediate is 4 or 5 && (cpu->ControlRegisters[4] & DebuggingExtensions) != 0) Traps.Record(cpu, Traps.InvalidOpcode);
        else if (cpu->UserMode != 0) Traps.Record(cpu, Traps.GeneralProtection);
        else return false;
        return true;
    }
}
