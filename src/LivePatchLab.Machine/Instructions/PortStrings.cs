using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>INS and OUTS, with and without REP, at ports where no device is: INS stores ones, and what OUTS reads goes nowhere.</summary>
internal sealed unsafe class PortStrings : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
        [Mnemonic.Insb, Mnemonic.Insw, Mnemonic.Insd, Mnemonic.Outsb, Mnemonic.Outsw, Mnemonic.Outsd];

    public override bool TryBuild(OpBuilder builder)
    {
        StringMove.SetOperands(builder);
        var action = builder.Instruction.Mnemonic is Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd ? typeof(Input) : typeof(Output);
        var careful = builder.IsCareful ? typeof(FlagsWanted) : typeof(FlagsUnseen);
        builder.Use(typeof(PortStrings), nameof(Transfer), OpBuilder.WidthOf(builder.Instruction.MemorySize.GetSize()), action, careful);
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Transfer<TWidth, TAction, TCareful>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TAction : struct, StringMove.IAction
        where TCareful : struct, IFlagUse
    {
        if (Privilege.AllowsInputOutput(cpu)) StringMove.Run<TWidth, TAction, TCareful>(cpu, op, memory, budget);
        else Leave.WithGeneralProtection(cpu, op, memory, budget);
    }

    private readonly unsafe struct Input : StringMove.IAction
    {
        public static ulong PlainElements<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth
            => PlainAccess.CanStore(cpu, StringElements.Destination(cpu, op), TWidth.Bytes) ? 1UL : 0;

        public static void Do<TWidth>(CpuState* cpu, Op* op, byte* memory, ulong elements) where TWidth : struct, IWidth
            => TWidth.Write(memory + (long)StringElements.Destination(cpu, op), ulong.MaxValue);

        public static bool TryOne<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth
        {
            if (!CarefulAccess.OpenForWrite(cpu, StringElements.Destination(cpu, op), TWidth.Bytes, stack: false)) return false;
            TWidth.Write((byte*)cpu->StoreBounce, ulong.MaxValue);
            return true;
        }

        public static void Advance(CpuState* cpu, Op* op, ulong bytes) => StringElements.Advance(cpu, op, Gpr.Rdi, bytes);
    }

    private readonly unsafe struct Output : StringMove.IAction
    {
        public static ulong PlainElements<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth
            => PlainAccess.CanLoad(cpu, StringElements.Source(cpu, op), TWidth.Bytes) ? 1UL : 0;

        public static void Do<TWidth>(CpuState* cpu, Op* op, byte* memory, ulong elements) where TWidth : struct, IWidth
        {
        }

        public static bool TryOne<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth
            => CarefulAccess.OpenForRead(cpu, StringElements.Source(cpu, op), TWidth.Bytes, stack: false);

        public static void Advance(CpuState* cpu, Op* op, ulong bytes) => StringElements.Advance(cpu, op, Gpr.Rsi, bytes);
    }
}
