using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// RDMSR and WRMSR. The segment bases are live; IA32_APIC_BASE, the three of SYSENTER, IA32_EFER, STAR, LSTAR, CSTAR and FMASK, which a booting
/// Linux touches, keep what is written and mean nothing; every other register is #GP(0). IA32_TIME_STAMP_COUNTER can be read.
/// </summary>
internal sealed unsafe class ModelSpecificRegister : InstructionFamily
{
    /// <summary>How many registers <see cref="CpuState.ModelSpecificRegisters"/> keeps.</summary>
    public const int Kept = 9;

    private const uint TimeStampCounter = 0x10, ApicBase = 0x1b, SysenterCs = 0x174, SysenterEip = 0x176, Efer = 0xc000_0080, Lstar = 0xc000_0082, Cstar = 0xc000_0083, Fmask = 0xc000_0084;
    private const uint FsBase = 0xc000_0100, GsBase = 0xc000_0101, KernelGsBase = 0xc000_0102;

    // As reset and a loader in long mode leave them: the APIC at its usual address and on, CPU 0 the bootstrap processor; LME, LMA, NXE and SCE.
    private const ulong ApicDefault = 0xfee0_0800, BootstrapProcessor = 0x100, EferDefault = 0xd01, EferActive = 0x400, EferBits = 0xd01;

    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Rdmsr, Mnemonic.Wrmsr];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(ModelSpecificRegister), builder.Instruction.Mnemonic == Mnemonic.Rdmsr ? nameof(Read) : nameof(Write));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Read(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        var number = (uint)cpu->Registers[Gpr.Rcx];
        if (number == TimeStampCounter && cpu->UserMode == 0)
        {
            TimeStamp.Read(cpu, op, memory, budget);
            return;
        }

        var place = Place(cpu, number);
        if (place == null)
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        var value = *place ^ Default(cpu, number);
        cpu->Registers[Gpr.Rax] = (uint)value;
        cpu->Registers[Gpr.Rdx] = value >> 32;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        var number = (uint)cpu->Registers[Gpr.Rcx];
        var place = Place(cpu, number);
        var value = (uint)cpu->Registers[Gpr.Rax] | (cpu->Registers[Gpr.Rdx] << 32);
        if (place == null || !IsAllowed(number, value))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        // LMA says what mode the processor is in, whatever is written. WRMSR serialises, but for a few registers of which none is here
        // (SDM vol. 3, 9.3).
        if (number == Efer) value |= EferActive;
        *place = value ^ Default(cpu, number);
        Leave.Retired(cpu, op, budget, ExecutionExit.Serialised);
    }

    /// <summary>Registers are kept as their difference to this, so that a CPU's state begins with zeros.</summary>
    private static ulong Default(CpuState* cpu, uint number) => number switch
    {
        ApicBase => ApicDefault | (cpu->CpuIndex == 0 ? BootstrapProcessor : 0),
        Efer => EferDefault,
        _ => 0,
    };

    private static bool IsAllowed(uint number, ulong value) => number switch
    {
        Efer => (value & ~EferBits) == 0,
        > SysenterCs and <= SysenterEip or Lstar or Cstar or FsBase or GsBase or KernelGsBase => CarefulAccess.IsCanonical(value),
        _ => true,
    };

    /// <summary>Where a register is kept; null for what is not there, or not at this privilege level.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ulong* Place(CpuState* cpu, uint number)
    {
        if (cpu->UserMode != 0) return null;
        return number switch
        {
            FsBase => &cpu->FsBase,
            GsBase => &cpu->GsBase,
            KernelGsBase => &cpu->KernelGsBase,
            ApicBase => &cpu->ModelSpecificRegisters[0],
            >= SysenterCs and <= SysenterEip => &cpu->ModelSpecificRegisters[1 + (number - SysenterCs)],
            >= Efer and <= Fmask => &cpu->ModelSpecificRegisters[4 + (number - Efer)],
            _ => null,
        };
    }
}
