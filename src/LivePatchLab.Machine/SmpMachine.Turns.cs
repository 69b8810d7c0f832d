using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LivePatchLab.Machine;

/// <summary>Whose turn it is, and for how long.</summary>
public sealed unsafe partial class SmpMachine
{
    /// <summary>Turns that follow each other in one call.</summary>
    private const int TurnsMax = 64;

    private const int NoCpu = -1;

    private readonly ReadyQueue _ready;
    private readonly int _quantumCyclesMax;
    private readonly long _loneTurnCycles;
    private int _running = NoCpu;
    private int _runningQuantumCycles = 1;

    /// <summary>Something about a CPU has changed: finds out anew whether and when it can go on.</summary>
    internal void Reconsider(Cpu cpu)
    {
        cpu.NotePlain();
        if (cpu.Id.Index == _running || Accesses is not null) return;
        if (cpu.ReadyClock is not { } clock)
        {
            _ready.Remove(cpu.Id.Index);
            return;
        }

        _ready.Set(cpu.Id.Index, clock);
        RunLimitCycles = Math.Min(RunLimitCycles, clock + _runningQuantumCycles);
    }

    /// <summary>
    /// The CPU furthest behind has its turn, and then the next. With many CPUs nearly all turns are nothing but guest code that stays in translated code to the turn's
    /// end, each as short as a quantum, so what is done between two of them counts. A method of its own for the JIT, which compiles anew what is entered often.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void TakeTurns(long clockLimitCycles, CancellationToken cancellation, CancellationToken caller)
    {
        var native = Interpreter.Native;
        var clock = _ready.FirstClock;
        var index = _ready.TakeFirst();
        for (var left = TurnsMax; ; left--)
        {
            _running = index;
            LimitTurn(clock, clockLimitCycles);
            var state = &_states[index];
            if (state->IsPlainGuest == 0) _cpus[index].TakeUnseenIpis();
            var instructions = PlainInstructions(state);
            if (native is not null && instructions != 0 && native.TryStay(state, instructions))
            {
                if (native.HasRetiredAll(state))
                {
                    state->Retired += instructions;
                    state->Clock += instructions * InstructionCycles;
                    clock = state->Clock;
                }
                else if (_cpus[index].FinishTurn(instructions) is { } ready) clock = ready;
                else break;
            }
            else if (_cpus[index].TakeTurn() is { } ready) clock = ready;
            else break;

            if (left == 0 || _stopRequested || Math.Min(clock, _ready.FirstClock) >= clockLimitCycles || cancellation.IsCancellationRequested || caller.IsCancellationRequested) break;
            index = _ready.Exchange(index, clock);
        }

        EndTurn(_cpus[index]);
    }

    /// <summary>Sets the limit of a turn: the quantum beyond the clock of who is behind.</summary>
    /// <param name="clock">When the CPU that has the turn can go on.</param>
    /// <param name="clockLimitCycles">Of the run.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void LimitTurn(long clock, long clockLimitCycles)
    {
        if (_ready.IsEmpty)
        {
            _runningQuantumCycles = 1;
            RunLimitCycles = Math.Min(clockLimitCycles, clock + _loneTurnCycles);
            return;
        }

        var behind = _ready.FirstClock;
        _runningQuantumCycles = _quantumCyclesMax > 1 ? 1 + Choices.Choose(ChoicePoint.Quantum, _quantumCyclesMax) : 1;
        RunLimitCycles = Math.Min(clockLimitCycles, behind + _runningQuantumCycles);
        Prefetch();
    }

    /// <summary>How many instructions the turn has, where the CPU does nothing else in it and nobody looks on; else 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private long PlainInstructions(CpuState* cpu)
    {
        if (cpu->IsPlainGuest == 0 || !IsGuestUnseen(cpu)) return 0;
        var instructions = Cpu.InstructionsFor(RunLimitCycles - cpu->Clock, InstructionCycles);
        return (ulong)instructions <= Cpu.RunInstructionsMax ? instructions : 0;
    }

    /// <summary>True where nothing comes between one instruction of this CPU and the next: no trap of its own, and nobody who looks on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool IsGuestUnseen(CpuState* cpu) => !SingleStep.IsWanted(cpu) && cpu->IsStepTrapDue == 0 && Pacer is null && !Events.WantsRetired;

    /// <summary>Has the host fetch what the next turns begin with: the state of the CPU after next, and the stack of the next, whose state has been fetched before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Prefetch()
    {
        if (!Sse.IsSupported) return;
        var second = _ready.SecondCpu;
        if (second < 0) return;
        var state = (byte*)&_states[second];
        Sse.Prefetch0(state);
        Sse.Prefetch0(state + 64);
        Sse.Prefetch0(state + 128);
        Sse.Prefetch0(state + 192);
        Sse.Prefetch0(Interpreter.HostAddressOf(_states[_ready.FirstCpu].Registers[Gpr.Rsp]));
    }

    private void EndTurn(Cpu cpu)
    {
        _running = NoCpu;
        Reconsider(cpu);
    }
}
