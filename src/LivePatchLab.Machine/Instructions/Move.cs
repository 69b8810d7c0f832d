using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>MOV between general registers, immediates and memory, and MOVNTI, whose hint has no meaning here.</summary>
internal sealed unsafe class Move : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Mov, Mnemonic.Movnti];

    public override bool TryBuild(OpBuilder builder)
    {
        if (ControlRegister.IsMove(builder.Instruction)) return ControlRegister.TryBuildMove(builder);
        if (SegmentSelector.IsMove(builder.Instruction)) return SegmentSelector.TryBuildMove(builder);
        if (DebugRegister.IsMove(builder.Instruction)) return DebugRegister.TryBuildMove(builder);
        if (builder.Operand(0) is not { } target || builder.Operand(1) is not { } source) return false;
        builder.Use(typeof(Move), nameof(Copy), builder.Width(0), target, source);
        return true;
    }

    public override bool MayLeave(in Instruction instruction)
        => base.MayLeave(instruction) || ControlRegister.IsMove(instruction) || SegmentSelector.IsMove(instruction) || DebugRegister.IsMove(instruction);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Copy<TWidth, TTarget, TSource>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TSource : struct, IOperand
    {
        if (!TryCopy<TWidth, TTarget, TSource>(cpu, op, memory))
        {
            Leave.Refused<TTarget, TSource>(cpu, op, memory, budget);
            return;
        }

        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryCopy<TWidth, TTarget, TSource>(CpuState* cpu, Op* op, byte* memory)
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TSource : struct, IOperand
    {
        var targetAddress = TTarget.Locate(cpu, op);
        if (!TTarget.OpensForWrite(cpu, op, targetAddress, TWidth.Bytes)) return false;
        var sourceAddress = TSource.Locate(cpu, op);
        if (!TSource.OpensForRead(cpu, op, sourceAddress, TWidth.Bytes)) return false;
        TTarget.Write<TWidth>(TTarget.Writable(cpu, op, memory, targetAddress), TWidth.Read(TSource.Readable(cpu, op, memory, sourceAddress)));
        return true;
    }
}
