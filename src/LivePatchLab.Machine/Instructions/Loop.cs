using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>What must hold, beside the count, for a LOOP to be taken.</summary>
internal unsafe interface ILoopCondition
{
    static abstract bool Counts { get; }

    static abstract bool Holds(CpuState* cpu, ulong count);
}

/// <summary>LOOP, LOOPE, LOOPNE, JRCXZ and JECXZ. The address size chooses between RCX and ECX.</summary>
internal sealed unsafe class Loop : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
        [Mnemonic.Loop, Mnemonic.Loope, Mnemonic.Loopne, Mnemonic.Jrcxz, Mnemonic.Jecxz];

    public override bool TryBuild(OpBuilder builder)
    {
        var code = builder.Instruction.Code;
        var condition = builder.Instruction.Mnemonic switch
        {
            Mnemonic.Loop => typeof(CountNotZero),
            Mnemonic.Loope => typeof(CountNotZeroAndEqual),
            Mnemonic.Loopne => typeof(CountNotZeroAndNotEqual),
            _ => typeof(CountIsZero),
        };
        var isNarrow = code is Code.Loop_rel8_64_ECX or Code.Loope_rel8_64_ECX or Code.Loopne_rel8_64_ECX or Code.Jecxz_rel8_64;
        builder.BranchTo(builder.Instruction.NearBranchTarget, builder.Instruction.NextIP);
        builder.Use(typeof(Loop), nameof(Branch), condition, isNarrow ? typeof(Bits32) : typeof(Bits64));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Branch<TCondition, TWidth>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TCondition : struct, ILoopCondition
        where TWidth : struct, IWidth
    {
        var counter = (byte*)&cpu->Registers[Gpr.Rcx];
        if (TCondition.Counts) TWidth.WriteRegister(counter, TWidth.Read(counter) - 1);
        var next = Edges.Of(op)->Choose(TCondition.Holds(cpu, TWidth.Read(counter)));
        budget -= next->RemainingInstructions;
        if (budget < 0) Leave.BeforeBlock(cpu, next, memory, budget);
        else ((Handler)next->Handler)(cpu, next, memory, budget);
    }

    private readonly struct CountNotZero : ILoopCondition
    {
        public static bool Counts => true;

        public static bool Holds(CpuState* cpu, ulong count) => count != 0;
    }

    private readonly struct CountNotZeroAndEqual : ILoopCondition
    {
        public static bool Counts => true;

        public static bool Holds(CpuState* cpu, ulong count) => count != 0 && (LazyFlags.Status(cpu) & LazyFlags.Zero) != 0;
    }

    private readonly struct CountNotZeroAndNotEqual : ILoopCondition
    {
        public static bool Counts => true;

        public static bool Holds(CpuState* cpu, ulong count) => count != 0 && (LazyFlags.Status(cpu) & LazyFlags.Zero) == 0;
    }

    private readonly struct CountIsZero : ILoopCondition
    {
        public static bool Counts => false;

        public static bool Holds(CpuState* cpu, ulong count) => count == 0;
    }
}
