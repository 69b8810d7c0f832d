using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// IRETQ: RIP, CS, RFLAGS, RSP and SS from the stack (SDM vol. 3, 6.14.3). There are no segments here; of CS only the privilege level
/// counts. It serialises, which is the machine's business.
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
        const int Rip = 0, Cs = 1, Flags = 2, Rsp = 3, Words = 5;
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
        if (!CarefulAccess.IsCanonical(frame[Rip]) || (cpu->UserMode != 0 && !isToUser))
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
