using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>XCHG and XADD. LOCK needs nothing: one CPU runs at a time, and an instruction is never interrupted.</summary>
internal sealed unsafe class Exchange : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Xchg, Mnemonic.Xadd];

    public override bool TryBuild(OpBuilder builder)
    {
        if (!builder.IsRegister(1) || builder.Operand(0) is not { } target || builder.Operand(1) is null) return false;
        if (builder.Instruction.Mnemonic == Mnemonic.Xchg) builder.Use(typeof(Exchange), nameof(Swap), builder.Width(0), target);
        else builder.Use(typeof(Exchange), nameof(SwapAndAdd), builder.Width(0), target, builder.FlagUse);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Swap<TWidth, TTarget>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
    {
        var address = TTarget.Locate(cpu, op);
        if (!TTarget.OpensForWrite(cpu, op, address, TWidth.Bytes))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        var target = TTarget.Writable(cpu, op, memory, address);
        var source = (byte*)cpu + op->Source;
        var value = TWidth.Read(target);
        TTarget.Write<TWidth>(target, TWidth.Read(source));
        TWidth.WriteRegister(source, value);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SwapAndAdd<TWidth, TTarget, TFlags>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TFlags : struct, IFlagUse
    {
        var address = TTarget.Locate(cpu, op);
        if (!TTarget.OpensForWrite(cpu, op, address, TWidth.Bytes))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        // The source is written first: with the same register twice the sum stays (SDM vol. 2, XADD).
        var target = TTarget.Writable(cpu, op, memory, address);
        var source = (byte*)cpu + op->Source;
        ulong a = TWidth.Read(target), b = TWidth.Read(source);
        TWidth.WriteRegister(source, a);
        TTarget.Write<TWidth>(target, a + b);
        if (TFlags.Wanted) LazyFlags.Set(cpu, LazyFlags.Add + TWidth.Log2Bytes, a, b);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }
}
