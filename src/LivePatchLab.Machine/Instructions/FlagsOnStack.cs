using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>PUSHF and POPF, of 64 and 16 bits.</summary>
internal sealed unsafe class FlagsOnStack : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Pushfq, Mnemonic.Pushf, Mnemonic.Popfq, Mnemonic.Popf];

    public override bool TryBuild(OpBuilder builder)
    {
        var width = OpBuilder.WidthOf(Math.Abs(builder.Instruction.StackPointerIncrement));
        var handler = builder.Instruction.Mnemonic is Mnemonic.Pushfq or Mnemonic.Pushf ? nameof(Store) : nameof(Load);
        builder.Use(typeof(FlagsOnStack), handler, width, builder.Stack);
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Store<TWidth, TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TStack : struct, IStack
    {
        var top = cpu->Registers[Gpr.Rsp] - (ulong)TWidth.Bytes;
        if (!TStack.OpensForWrite(cpu, top, TWidth.Bytes))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        // RF is not in the image (SDM vol. 2, PUSHF).
        TWidth.Write(TStack.Writable(cpu, memory, top), LazyFlags.ReadAll(cpu) & ~(ulong)SystemFlag.Resume);
        cpu->Registers[Gpr.Rsp] = top;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Load<TWidth, TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TStack : struct, IStack
    {
        var top = cpu->Registers[Gpr.Rsp];
        if (!TStack.OpensForRead(cpu, top, TWidth.Bytes))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        var image = TWidth.Read(TStack.Readable(cpu, memory, top));
        cpu->Registers[Gpr.Rsp] = top + (ulong)TWidth.Bytes;
        if (EnablesInterrupts<TWidth>(cpu, image))
        {
            Leave.Retired(cpu, op, budget, ExecutionExit.InterruptsEnabled);
            return;
        }

        if ((cpu->SystemFlags & SystemFlag.Trap) != 0)
        {
            Leave.ToLoop(cpu, op, memory, budget);
            return;
        }

        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool EnablesInterrupts<TWidth>(CpuState* cpu, ulong image) where TWidth : struct, IWidth
    {
        var changeable = cpu->UserMode == 0 ? SystemFlag.ByKernelPop
            : Privilege.AllowsInputOutput(cpu) ? SystemFlag.ByUserPop | SystemFlag.Interrupt
            : SystemFlag.ByUserPop;
        if (TWidth.Bits == 16) changeable &= 0xffff;
        var before = cpu->SystemFlags;
        LazyFlags.SetBits(cpu, (uint)image);
        cpu->SystemFlags = (before & ~(changeable | SystemFlag.Resume)) | ((uint)image & changeable);
        if ((changeable & SystemFlag.Interrupt) != 0) cpu->HeldInterruptFlag = 0;
        return (cpu->SystemFlags & ~before & SystemFlag.Interrupt) != 0;
    }
}
