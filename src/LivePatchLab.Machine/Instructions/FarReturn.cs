using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// RETFQ and RETFQ imm16: RIP and CS from the stack, and RSP and SS too on the way out to CPL 3 (SDM vol. 2, RET). The selectors are to be
/// Linux's (<see cref="CodeSegment"/>). It does not serialise. The other operand sizes are not implemented.
/// </summary>
internal sealed unsafe class FarReturn : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Retf];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Instruction.Code is not (Code.Retfq or Code.Retfq_imm16)) return false;
        builder.Op->Immediate = builder.Instruction.Code == Code.Retfq_imm16 ? builder.Instruction.Immediate16 : 0;
        builder.Use(typeof(FarReturn), nameof(PopTarget));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PopTarget(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        const int Rip = 0, Cs = 1, Rsp = 2, Ss = 3, Words = 4;
        var frame = stackalloc ulong[Words];
        var top = cpu->Registers[Gpr.Rsp];
        var released = top + (ulong)op->Immediate;
        var isOutward = false;
        for (var i = 0; i < Words; i++)
        {
            if (i > Cs && !isOutward) break;
            var address = (i > Cs ? released : top) + (ulong)(8 * i);
            if (!CarefulAccess.OpenForRead(cpu, address, 8, stack: true))
            {
                Leave.Trapped(cpu, op, memory, budget);
                return;
            }

            frame[i] = cpu->LoadBounce[0];
            if (i == Cs) isOutward = cpu->UserMode == 0 && (frame[Cs] & 3) == 3;
        }

        if (!CodeSegment.AdmitsReturn(cpu, (ushort)frame[Cs]) || (isOutward && !CodeSegment.AdmitsStack(cpu, (ushort)frame[Ss], 3)))
        {
            Leave.Trapped(cpu, op, memory, budget);
            return;
        }

        if (!CarefulAccess.IsCanonical(frame[Rip]))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        // Outward the immediate is released from both stacks.
        cpu->Registers[Gpr.Rsp] = isOutward ? frame[Rsp] + (ulong)op->Immediate : released + 16;
        if (isOutward) cpu->UserMode = 1;
        Leave.ToTarget(cpu, op, frame[Rip], budget);
    }
}
