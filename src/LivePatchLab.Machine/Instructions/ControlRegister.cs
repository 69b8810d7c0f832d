using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// MOV to and from CR0, CR2, CR3, CR4 and CR8: the values are kept, and mean nothing to this machine; a write serialises (SDM vol. 3,
/// 9.3; not of CR8, which the machine treats alike). <see cref="Move"/> hands them over. Also RDMSR and WRMSR of the segment bases.
/// </summary>
internal sealed unsafe class ControlRegister : InstructionFamily
{
    private const uint FsBaseMsr = 0xc000_0100, GsBaseMsr = 0xc000_0101, KernelGsBaseMsr = 0xc000_0102;

    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Rdmsr, Mnemonic.Wrmsr];

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

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(ControlRegister), builder.Instruction.Mnemonic == Mnemonic.Rdmsr ? nameof(ReadModelSpecific) : nameof(WriteModelSpecific));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

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

        cpu->ControlRegisters[(int)op->Immediate] = *(ulong*)((byte*)cpu + op->Source);
        Leave.Retired(cpu, op, budget, ExecutionExit.Serialised);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ReadModelSpecific(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        var place = ModelSpecific(cpu);
        if (place == null)
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        cpu->Registers[Gpr.Rax] = (uint)*place;
        cpu->Registers[Gpr.Rdx] = *place >> 32;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void WriteModelSpecific(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        var place = ModelSpecific(cpu);
        var value = (uint)cpu->Registers[Gpr.Rax] | (cpu->Registers[Gpr.Rdx] << 32);
        if (place == null || !CarefulAccess.IsCanonical(value))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        // WRMSR serialises, but for a few registers of which none is here (SDM vol. 3, 9.3).
        *place = value;
        Leave.Retired(cpu, op, budget, ExecutionExit.Serialised);
    }

    /// <summary>Where the register that ECX names is kept; null for what is not there, or not at this privilege level.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong* ModelSpecific(CpuState* cpu)
    {
        if (cpu->UserMode != 0) return null;
        return (uint)cpu->Registers[Gpr.Rcx] switch
        {
            FsBaseMsr => &cpu->FsBase,
            GsBaseMsr => &cpu->GsBase,
            KernelGsBaseMsr => &cpu->KernelGsBase,
            _ => null,
        };
    }
}
