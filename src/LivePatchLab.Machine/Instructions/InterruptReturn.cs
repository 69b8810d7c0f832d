using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// IRETQ: RIP, CS, RFLAGS, RSP and SS from the stack (SDM vol. 3, 6.14.3). Of CS and SS the privilege level counts, and that they are Linux's
/// (<see cref="CodeSegment"/>). It serialises, which is the machine's business. IRETD and IRET of 16 bits are not implemented.
/// </summary>
internal sealed unsafe class InterruptReturn : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Iretq];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(InterruptReturn), nameof(PopFrame));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PopFrame(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        const int Rip = 0, Cs = 1, Flags = 2, Rsp = 3, Ss = 4, Words = 5;
        if ((cpu->SystemFlags & SystemFlag.NestedTask) != 0)
        {
            // There is no task to return to in 64-bit mode.
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        var frame = stackalloc ulong[Words];
        for (var i = 0; i < Words; i++)
        {
            if (!CarefulAccess.OpenForRead(cpu, cpu->Registers[Gpr.Rsp] + (ulong)(8 * i), 8, stack: true))
            {
                Leave.Trapped(cpu, op, memory, budget);
                return;
            }

            frame[i] = cpu->LoadBounce[0];
        }

        var isToUser = (frame[Cs] & 3) == 3;
        if (!CodeSegment.AdmitsReturn(cpu, (ushort)frame[Cs]) || !CodeSegment.AdmitsStack(cpu, (ushort)frame[Ss], (uint)(frame[Cs] & 3)))
        {
            Leave.Trapped(cpu, op, memory, budget);
            return;
        }

        if (!CarefulAccess.IsCanonical(frame[Rip]))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        var changeable = cpu->UserMode == 0 ? SystemFlag.All : SystemFlag.ByUserPop | SystemFlag.Resume;
        LazyFlags.SetBits(cpu, (uint)frame[Flags]);
        cpu->SystemFlags = (cpu->SystemFlags & ~changeable) | ((uint)frame[Flags] & changeable);
        if ((changeable & SystemFlag.Interrupt) != 0) cpu->HeldInterruptFlag = 0;
        cpu->UserMode = isToUser ? 1 : 0;
        cpu->Registers[Gpr.Rsp] = frame[Rsp];
        Leave.Retired(cpu, op, budget, ExecutionExit.InterruptReturn);
        cpu->Rip = frame[Rip];
    }
}
