using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE and SWAPGS. Segments have no other meaning here; <see cref="SegmentSelector"/> has the selectors.</summary>
internal sealed unsafe class SegmentBase : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
        [Mnemonic.Rdfsbase, Mnemonic.Rdgsbase, Mnemonic.Wrfsbase, Mnemonic.Wrgsbase, Mnemonic.Swapgs];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Instruction.Mnemonic == Mnemonic.Swapgs)
        {
            builder.Use(typeof(SegmentBase), nameof(Swap));
            return true;
        }

        builder.Operand(0);
        var isFs = builder.Instruction.Mnemonic is Mnemonic.Rdfsbase or Mnemonic.Wrfsbase;
        var reads = builder.Instruction.Mnemonic is Mnemonic.Rdfsbase or Mnemonic.Rdgsbase;
        builder.Use(typeof(SegmentBase), reads ? nameof(Read) : nameof(Write), builder.Width(0), isFs ? typeof(Fs) : typeof(Gs));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Read<TWidth, TSegment>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TSegment : struct, ISegment
    {
        TWidth.WriteRegister((byte*)cpu + op->Destination, *TSegment.Base(cpu));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Write<TWidth, TSegment>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TSegment : struct, ISegment
    {
        var value = TWidth.Read((byte*)cpu + op->Destination);
        if (!CarefulAccess.IsCanonical(value))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        *TSegment.Base(cpu) = value;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Swap(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (cpu->UserMode != 0)
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        (cpu->GsBase, cpu->KernelGsBase) = (cpu->KernelGsBase, cpu->GsBase);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    internal unsafe interface ISegment
    {
        static abstract ulong* Base(CpuState* cpu);
    }

    private readonly unsafe struct Fs : ISegment
    {
        public static ulong* Base(CpuState* cpu) => &cpu->FsBase;
    }

    private readonly unsafe struct Gs : ISegment
    {
        public static ulong* Base(CpuState* cpu) => &cpu->GsBase;
    }
}
