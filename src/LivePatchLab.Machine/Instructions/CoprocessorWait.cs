using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>WAIT. There is no x87 unit whose exceptions could be pending, so all that it does is #NM when CR0.MP and CR0.TS are set (SDM vol. 2, WAIT).</summary>
internal sealed unsafe class CoprocessorWait : InstructionFamily
{
    // CR0.MP and CR0.TS.
    private const ulong Watched = (1 << 1) | (1 << 3);

    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Wait];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(CoprocessorWait), nameof(Await));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Await(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if ((cpu->ControlRegisters[0] & Watched) == Watched)
        {
            Traps.Record(cpu, Traps.NoCoprocessor);
            Leave.Trapped(cpu, op, memory, budget);
            return;
        }

        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
