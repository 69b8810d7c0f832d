using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>
/// What happens between one instruction and the next when the loop has to look: the single-step trap of RFLAGS.TF (SDM vol. 3, 17.3.1.4),
/// the end of the shadow in which STI and MOV SS hold interrupts off (SDM vol. 3, 6.8.3), and a repeated string instruction that is not done.
/// TF counts as it was when the instruction began.
/// </summary>
internal readonly unsafe struct SingleStep
{
    // DR6.BS.
    private const ulong StepStatus = 1 << 14;

    private readonly bool _traps;
    private readonly bool _endsShadow;

    private SingleStep(bool traps, bool endsShadow)
    {
        _traps = traps;
        _endsShadow = endsShadow;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsWanted(CpuState* cpu) => ((cpu->SystemFlags & SystemFlag.Trap) | cpu->HeldInterruptFlag | (uint)cpu->RepeatLength) != 0;

    /// <summary>Interrupts come on after the next instruction only. A shadow within a shadow makes it no longer.</summary>
    public static void HoldInterrupts(CpuState* cpu)
    {
        cpu->HeldInterruptFlag |= SystemFlag.Interrupt;
        cpu->SystemFlags &= ~SystemFlag.Interrupt;
    }

    /// <summary>What comes now is not the guest's next instruction, so interrupts are as on as the guest asked for.</summary>
    public static void EndShadow(CpuState* cpu)
    {
        cpu->SystemFlags |= cpu->HeldInterruptFlag;
        cpu->HeldInterruptFlag = 0;
    }

    public static SingleStep Begin(CpuState* cpu)
    {
        cpu->IsStepTrapInhibited = 0;
        return new((cpu->SystemFlags & SystemFlag.Trap) != 0, cpu->HeldInterruptFlag != 0);
    }

    /// <summary>True, with the trap set as the run's exit, where one is due from before.</summary>
    public static bool TryRaiseDue(CpuState* cpu)
    {
        if (cpu->IsStepTrapDue == 0) return false;
        cpu->IsStepTrapDue = 0;
        Raise(cpu);
        return true;
    }

    /// <summary>The instruction is done, or a part of it that can be interrupted, or it has faulted.</summary>
    public void End(CpuState* cpu, bool isRetired)
    {
        if (_endsShadow && cpu->HeldInterruptFlag != 0)
        {
            EndShadow(cpu);
            if (cpu->Exit == ExecutionExit.Budget) cpu->Exit = ExecutionExit.InterruptsEnabled;
        }

        // Each iteration of a repeated string instruction traps. A fault comes instead of the trap, and INT3 and its kin clear TF.
        var isDone = isRetired || cpu->Exit == ExecutionExit.Repeating || (cpu->Exit == ExecutionExit.CodeStored && cpu->RepeatLength != 0);
        if (!_traps || !isDone || cpu->IsStepTrapInhibited != 0 || cpu->Exit == ExecutionExit.Trap) return;
        if (cpu->Exit is ExecutionExit.Serialised or ExecutionExit.InterruptReturn or ExecutionExit.Syscall or ExecutionExit.SystemReturn) cpu->IsStepTrapDue = 1;
        else Raise(cpu);
    }

    private static void Raise(CpuState* cpu)
    {
        RepeatedString.End(cpu);
        cpu->DebugRegisters[6] |= StepStatus;
        Traps.Record(cpu, Traps.Debug);
        cpu->Exit = ExecutionExit.Trap;
    }
}
