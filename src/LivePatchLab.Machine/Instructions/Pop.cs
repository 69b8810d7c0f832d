using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>POP to registers and memory, and to FS and GS.</summary>
internal sealed unsafe class Pop : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Pop];

    public override bool TryBuild(OpBuilder builder)
    {
        var width = OpBuilder.WidthOf(builder.Instruction.StackPointerIncrement);
        if (builder.Instruction.Op0Register is Register.FS or Register.GS)
        {
            builder.Op->Immediate = builder.Instruction.Op0Register - Register.ES;
            builder.Use(typeof(Pop), nameof(LoadSelector), width, builder.Stack);
            return true;
        }

        if (builder.Operand(0) is not { } target) return false;
        if (builder.IsMemory(0)) builder.Use(typeof(Pop), nameof(LoadToMemory), width, target, builder.Stack);
        else builder.Use(typeof(Pop), nameof(Load), width, builder.Stack);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Load<TWidth, TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TStack : struct, IStack
    {
        if (!TryLoad<TWidth, TStack>(cpu, op, memory))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadToMemory<TWidth, TTarget, TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TTarget : struct, IOperand
        where TStack : struct, IStack
    {
        var top = cpu->Registers[Gpr.Rsp];
        if (!TStack.OpensForRead(cpu, top, TWidth.Bytes))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        // An address with RSP in it is worked out after RSP has moved (SDM vol. 2, POP); a refusal must find it where it was.
        cpu->Registers[Gpr.Rsp] = top + (ulong)TWidth.Bytes;
        var address = TTarget.Locate(cpu, op);
        if (!TTarget.OpensForWrite(cpu, op, address, TWidth.Bytes))
        {
            cpu->Registers[Gpr.Rsp] = top;
            TTarget.Refuse(cpu, op, memory, budget);
            return;
        }

        TTarget.Write<TWidth>(TTarget.Writable(cpu, op, memory, address), TWidth.Read(TStack.Readable(cpu, memory, top)));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    /// <summary>A flat segment whatever the selector is, as with MOV; its base becomes 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LoadSelector<TWidth, TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TStack : struct, IStack
    {
        var top = cpu->Registers[Gpr.Rsp];
        if (!TStack.OpensForRead(cpu, top, TWidth.Bytes))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        SegmentSelector.TryLoad(cpu, (int)op->Immediate, *(ushort*)TStack.Readable(cpu, memory, top));
        cpu->Registers[Gpr.Rsp] = top + (ulong)TWidth.Bytes;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryLoad<TWidth, TStack>(CpuState* cpu, Op* op, byte* memory)
        where TWidth : struct, IWidth
        where TStack : struct, IStack
    {
        var top = cpu->Registers[Gpr.Rsp];
        if (!TStack.OpensForRead(cpu, top, TWidth.Bytes)) return false;

        // RSP moves first, so POP RSP ends with what was popped.
        cpu->Registers[Gpr.Rsp] = top + (ulong)TWidth.Bytes;
        TWidth.WriteRegister((byte*)cpu + op->Destination, TWidth.Read(TStack.Readable(cpu, memory, top)));
        return true;
    }
}
