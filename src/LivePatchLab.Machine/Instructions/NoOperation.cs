using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// What has no effect in this machine: NOP in all lengths, PAUSE, every hint of 0F 18 to 0F 1F (ENDBR, prefetches, CLDEMOTE, and RDSSP, which
/// is one while CR4.CET is 0), and fences (accesses happen in program order, and an LFENCE does not serialise fetching).
/// </summary>
internal sealed unsafe class NoOperation : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
    [
        Mnemonic.Nop, Mnemonic.Reservednop, Mnemonic.Pause, Mnemonic.Endbr64, Mnemonic.Endbr32, Mnemonic.Rdsspd, Mnemonic.Rdsspq,
        Mnemonic.Prefetch, Mnemonic.Prefetchnta, Mnemonic.Prefetcht0, Mnemonic.Prefetcht1, Mnemonic.Prefetcht2, Mnemonic.Prefetchw, Mnemonic.Prefetchwt1,
        Mnemonic.Prefetchit0, Mnemonic.Prefetchit1,
        Mnemonic.Lfence, Mnemonic.Mfence, Mnemonic.Sfence, Mnemonic.Cldemote,
    ];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(NoOperation), nameof(GoOn));
        return true;
    }

    // Their memory operands are never touched.
    public override bool MayLeave(in Instruction instruction) => false;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void GoOn(CpuState* cpu, Op* op, byte* memory, long budget) => ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
}
