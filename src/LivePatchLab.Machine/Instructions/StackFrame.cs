using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// LEAVE and ENTER, of 64 and 16 bits. ENTER with a nesting level, which no compiler emits, is always done the careful way: all that it pushes
/// is written at once, or nothing is.
/// </summary>
internal sealed unsafe class StackFrame : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Leave, Mnemonic.Enter];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Instruction.Mnemonic == Mnemonic.Leave)
        {
            builder.Use(typeof(StackFrame), nameof(Close), builder.Instruction.Code == Code.Leavew ? typeof(Bits16) : typeof(Bits64), builder.Stack);
            return true;
        }

        var width = builder.Instruction.Code == Code.Enterw_imm16_imm8 ? typeof(Bits16) : typeof(Bits64);
        var level = builder.Instruction.Immediate8_2nd & 31;
        builder.Op->Immediate = builder.Instruction.Immediate16;
        builder.Op->Displacement = level;
        if (level == 0) builder.Use(typeof(StackFrame), nameof(Open), width, builder.Stack);
        else if (builder.IsCareful) builder.Use(typeof(StackFrame), nameof(OpenNested), width);
        else builder.Use(typeof(Leave), nameof(Leave.ForCare));
        return true;
    }

    /// <summary>What one ENTER pushes at most: RBP, 30 outer frame pointers, and its own.</summary>
    public const int WordsMax = 32;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Close<TWidth, TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TStack : struct, IStack
    {
        var frame = cpu->Registers[Gpr.Rbp];
        if (!TStack.OpensForRead(cpu, frame, TWidth.Bytes))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        cpu->Registers[Gpr.Rsp] = frame + (ulong)TWidth.Bytes;
        TWidth.WriteRegister((byte*)&cpu->Registers[Gpr.Rbp], TWidth.Read(TStack.Readable(cpu, memory, frame)));
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Open<TWidth, TStack>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TStack : struct, IStack
    {
        var frame = cpu->Registers[Gpr.Rsp] - (ulong)TWidth.Bytes;
        if (!TStack.OpensForWrite(cpu, frame - (ulong)op->Immediate, 1) || !TStack.OpensForWrite(cpu, frame, TWidth.Bytes))
        {
            TStack.Refuse(cpu, op, memory, budget);
            return;
        }

        TWidth.Write(TStack.Writable(cpu, memory, frame), cpu->Registers[Gpr.Rbp]);
        TWidth.Write((byte*)&cpu->Registers[Gpr.Rbp], frame);
        cpu->Registers[Gpr.Rsp] = frame - (ulong)op->Immediate;
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void OpenNested<TWidth>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
    {
        if (TryOpenNested<TWidth>(cpu, op->Displacement, (ulong)op->Immediate)) ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
        else Leave.Trapped(cpu, op, memory, budget);
    }

    /// <summary>False, with the trap recorded and nothing changed, when the stack or an outer frame does not open.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryOpenNested<TWidth>(CpuState* cpu, int level, ulong locals)
        where TWidth : struct, IWidth
    {
        var width = (ulong)TWidth.Bytes;
        var frame = cpu->Registers[Gpr.Rsp] - width;
        var top = frame - ((ulong)level * width);
        if (!CarefulAccess.Permits(cpu, top - locals, 1, PagePermissions.Write, stack: true)) return false;
        if (!CarefulAccess.OpenForWrite(cpu, top, (level + 1) * TWidth.Bytes, stack: true)) return false;
        var pushed = (byte*)cpu->StoreBounce;
        TWidth.Write(pushed + (frame - top), cpu->Registers[Gpr.Rbp]);
        for (var i = 1; i < level; i++)
        {
            var outer = cpu->Registers[Gpr.Rbp] - ((ulong)i * width);
            if (!CarefulAccess.OpenForRead(cpu, outer, TWidth.Bytes, stack: true)) return false;

            // The outer frame may reach into what this instruction has pushed already.
            var lowest = frame - ((ulong)(i - 1) * width);
            for (var at = 0UL; at < width; at++)
                if (outer + at - lowest < frame + width - lowest) ((byte*)cpu->LoadBounce)[at] = pushed[outer + at - top];
            TWidth.Write(pushed + (lowest - width - top), TWidth.Read((byte*)cpu->LoadBounce));
        }

        TWidth.Write(pushed, frame);
        TWidth.Write((byte*)&cpu->Registers[Gpr.Rbp], frame);
        cpu->Registers[Gpr.Rsp] = top - locals;
        return true;
    }
}
