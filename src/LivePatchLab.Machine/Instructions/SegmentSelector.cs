using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// MOV to and from segment registers, which <see cref="Move"/> hands over. Every selector names a flat segment, whatever LGDT has loaded:
/// DS, ES, FS and GS hold what was last loaded, 0 at first, as in 64-bit tasks of Linux, and loading FS or GS makes its base 0, which is
/// that of the flat descriptors and of a null selector on Intel processors. CS and SS read as Linux's selectors of the privilege level.
/// </summary>
internal static unsafe class SegmentSelector
{
    // __KERNEL_CS, __KERNEL_DS, __USER_CS, __USER_DS of Linux.
    private const ulong KernelCode = 0x10, KernelData = 0x18, UserCode = 0x33, UserData = 0x2b;

    // As the encoding numbers them.
    private const int Cs = 1, Ss = 2, Fs = 4, Gs = 5;

    public static bool IsMove(in Instruction instruction) => instruction.Op0Register.IsSegmentRegister() || instruction.Op1Register.IsSegmentRegister();

    public static bool TryBuildMove(OpBuilder builder)
    {
        var loads = builder.Instruction.Op0Register.IsSegmentRegister();
        var number = (loads ? builder.Instruction.Op0Register : builder.Instruction.Op1Register) - Register.ES;

        // MOV to CS is #UD (SDM vol. 2, MOV).
        if ((loads && number == Cs) || builder.Operand(loads ? 1 : 0) is not { } operand) return false;
        builder.Op->Immediate = number;
        if (loads) builder.Use(typeof(SegmentSelector), number == Ss ? nameof(LoadStack) : nameof(Load), operand);
        else builder.Use(typeof(SegmentSelector), nameof(Read), builder.IsMemory(0) ? typeof(Bits16) : builder.Width(0), operand);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Read<TWidth, TTarget>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
    {
        if (!OperandAccess.OpensForWrite<TTarget, TWidth>(cpu, op))
        {
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        TTarget.Write<TWidth>(OperandAccess.Writable<TTarget>(cpu, op, memory), Value(cpu, (int)op->Immediate));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Load<TSource>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TSource : struct, IOperand
    {
        if (!OperandAccess.OpensForRead<TSource, Bits16>(cpu, op))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        if (!TryLoad(cpu, (int)op->Immediate, *(ushort*)OperandAccess.Readable<TSource>(cpu, op, memory)))
        {
            Leave.Trapped(cpu, op, memory, budget);
            return;
        }

        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    /// <summary>MOV SS, behind which no interrupt and no single-step trap comes in for one instruction (SDM vol. 3, 6.8.3).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadStack<TSource>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TSource : struct, IOperand
    {
        if (!OperandAccess.OpensForRead<TSource, Bits16>(cpu, op))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        if (!TryLoad(cpu, Ss, *(ushort*)OperandAccess.Readable<TSource>(cpu, op, memory)))
        {
            Leave.Trapped(cpu, op, memory, budget);
            return;
        }

        cpu->IsStepTrapInhibited = 1;
        if ((cpu->SystemFlags & SystemFlag.Interrupt) != 0) SingleStep.HoldInterrupts(cpu);
        Leave.ToLoop(cpu, op, memory, budget);
    }

    /// <summary>What MOV and PUSH read of a segment register.</summary>
    public static ulong Value(CpuState* cpu, int number) => number switch
    {
        Cs => cpu->UserMode != 0 ? UserCode : KernelCode,
        Ss => cpu->UserMode != 0 ? UserData : KernelData,
        _ => cpu->Selectors[number],
    };

    /// <summary>False, with the trap recorded, for a stack segment of another privilege level, or none at CPL 3 (SDM vol. 2, MOV).</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool TryLoad(CpuState* cpu, int number, ushort selector)
    {
        if (number == Ss)
        {
            // There is one stack segment for each privilege level, so a selector that passes says what is loaded already.
            if ((selector & 3) == (cpu->UserMode != 0 ? 3 : 0) && (selector > 3 || cpu->UserMode == 0)) return true;
            Traps.Record(cpu, Traps.GeneralProtection, selector > 3 ? selector & ~3u : 0);
            return false;
        }

        cpu->Selectors[number] = selector;
        if (number == Fs) cpu->FsBase = 0;
        else if (number == Gs) cpu->GsBase = 0;
        return true;
    }
}
