using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE and SWAPGS. Segments have no other meaning here; a MOV from a selector, which
/// <see cref="Move"/> hands over, reads what Linux would have there, and loading one is not implemented.
/// </summary>
internal sealed unsafe class SegmentBase : InstructionFamily
{
    // __KERNEL_CS, __KERNEL_DS, __USER_CS, __USER_DS of Linux; DS, ES, FS and GS hold 0 in 64-bit tasks.
    private const long KernelCode = 0x10, KernelData = 0x18, UserCode = 0x33, UserData = 0x2b;

    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
        [Mnemonic.Rdfsbase, Mnemonic.Rdgsbase, Mnemonic.Wrfsbase, Mnemonic.Wrgsbase, Mnemonic.Swapgs];

    public static bool IsSelectorMove(in Instruction instruction) => instruction.Op0Register.IsSegmentRegister() || instruction.Op1Register.IsSegmentRegister();

    public static bool TryBuildSelectorMove(OpBuilder builder)
    {
        var selector = builder.Instruction.Op1Register;
        if (!builder.IsRegister(0) || !selector.IsSegmentRegister()) return false;
        builder.Operand(0);
        (builder.Op->Immediate, builder.Op->Displacement) = selector switch
        {
            Register.CS => (KernelCode, (int)UserCode),
            Register.SS => (KernelData, (int)UserData),
            _ => (0, 0),
        };
        builder.Use(typeof(SegmentBase), nameof(ReadSelector), builder.Width(0));
        return true;
    }

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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ReadSelector<TWidth>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
    {
        TWidth.WriteRegister((byte*)cpu + op->Destination, cpu->UserMode != 0 ? (ulong)op->Displacement : (ulong)op->Immediate);
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
