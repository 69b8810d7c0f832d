using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>CLC, STC, CMC, LAHF, SAHF, and CLD, STD, CLI, STI, CLAC, STAC.</summary>
internal sealed unsafe class FlagBits : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
    [
        Mnemonic.Clc, Mnemonic.Stc, Mnemonic.Cmc, Mnemonic.Lahf, Mnemonic.Sahf,
        Mnemonic.Cld, Mnemonic.Std, Mnemonic.Cli, Mnemonic.Sti, Mnemonic.Clac, Mnemonic.Stac,
    ];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(FlagBits), builder.Instruction.Mnemonic switch
        {
            Mnemonic.Clc => nameof(ClearCarry),
            Mnemonic.Stc => nameof(SetCarry),
            Mnemonic.Cmc => nameof(ComplementCarry),
            Mnemonic.Lahf => nameof(LoadToAh),
            Mnemonic.Sahf => nameof(StoreFromAh),
            Mnemonic.Cld => nameof(ClearDirection),
            Mnemonic.Std => nameof(SetDirection),
            Mnemonic.Cli => nameof(DisableInterrupts),
            Mnemonic.Sti => nameof(EnableInterrupts),
            Mnemonic.Clac => nameof(ClearAlignmentCheck),
            _ => nameof(SetAlignmentCheck),
        });
        return true;
    }

    public override bool MayLeave(in Instruction instruction)
        => instruction.Mnemonic is Mnemonic.Cli or Mnemonic.Sti or Mnemonic.Clac or Mnemonic.Stac;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ClearCarry(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        LazyFlags.Replace(cpu, LazyFlags.Carry, 0);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SetCarry(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        LazyFlags.Replace(cpu, LazyFlags.Carry, LazyFlags.Carry);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ComplementCarry(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        LazyFlags.SetBits(cpu, LazyFlags.Status(cpu) ^ LazyFlags.Carry);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadToAh(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        ((byte*)&cpu->Registers[Gpr.Rax])[1] = (byte)LazyFlags.ReadAll(cpu);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void StoreFromAh(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        LazyFlags.Replace(cpu, LazyFlags.All & ~LazyFlags.Overflow, ((byte*)&cpu->Registers[Gpr.Rax])[1]);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ClearDirection(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->SystemFlags &= ~SystemFlag.Direction;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SetDirection(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        cpu->SystemFlags |= SystemFlag.Direction;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void DisableInterrupts(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (!Privilege.AllowsInputOutput(cpu))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        cpu->SystemFlags &= ~SystemFlag.Interrupt;
        cpu->HeldInterruptFlag = 0;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void EnableInterrupts(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (!Privilege.AllowsInputOutput(cpu))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        if (((cpu->SystemFlags | cpu->HeldInterruptFlag) & SystemFlag.Interrupt) == 0)
        {
            // So that STI and HLT, or STI and RET, let no interrupt in between (SDM vol. 2, STI).
            SingleStep.HoldInterrupts(cpu);
            Leave.ToLoop(cpu, op, memory, budget);
            return;
        }

        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ClearAlignmentCheck(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (cpu->UserMode != 0)
        {
            UndefinedInstruction.Raise(cpu, op, memory, budget);
            return;
        }

        cpu->SystemFlags &= ~SystemFlag.AlignmentCheck;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SetAlignmentCheck(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (cpu->UserMode != 0)
        {
            UndefinedInstruction.Raise(cpu, op, memory, budget);
            return;
        }

        cpu->SystemFlags |= SystemFlag.AlignmentCheck;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
