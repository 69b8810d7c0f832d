using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>RDTSC and RDTSCP: the CPU's cycle clock at the entry of the run, and one cycle more for each instruction retired since.</summary>
internal sealed unsafe class TimeStamp : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Rdtsc, Mnemonic.Rdtscp];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(TimeStamp), builder.Instruction.Mnemonic == Mnemonic.Rdtsc ? nameof(Read) : nameof(ReadWithCpu));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Read(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        var clock = cpu->Clock + cpu->RunLength - cpu->BudgetBeyond - budget - op->RemainingInstructions;
        cpu->Registers[Gpr.Rax] = (uint)clock;
        cpu->Registers[Gpr.Rdx] = (ulong)clock >> 32;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    /// <summary>RDTSCP also gives IA32_TSC_AUX, in which operating systems keep the CPU's number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ReadWithCpu(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->Registers[Gpr.Rcx] = (uint)cpu->CpuIndex;
        Read(cpu, op, memory, budget);
    }
}
