using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>MOVS, STOS and LODS, with and without REP. F2 repeats them as F3 does.</summary>
internal sealed unsafe class StringMove : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
    [
        Mnemonic.Movsb, Mnemonic.Movsw, Mnemonic.Movsd, Mnemonic.Movsq,
        Mnemonic.Stosb, Mnemonic.Stosw, Mnemonic.Stosd, Mnemonic.Stosq,
        Mnemonic.Lodsb, Mnemonic.Lodsw, Mnemonic.Lodsd, Mnemonic.Lodsq,
    ];

    public override bool TryBuild(OpBuilder builder)
    {
        if (!builder.Instruction.IsStringInstruction) return false;
        SetOperands(builder);
        var action = builder.Instruction.Mnemonic switch
        {
            Mnemonic.Movsb or Mnemonic.Movsw or Mnemonic.Movsd or Mnemonic.Movsq => typeof(Move),
            Mnemonic.Stosb or Mnemonic.Stosw or Mnemonic.Stosd or Mnemonic.Stosq => typeof(Fill),
            _ => typeof(Load),
        };
        var careful = builder.IsCareful ? typeof(FlagsWanted) : typeof(FlagsUnseen);
        builder.Use(typeof(StringMove), nameof(Run), OpBuilder.WidthOf(builder.Instruction.MemorySize.GetSize()), action, careful);
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    /// <summary>Repeat, segment and address size of any string instruction.</summary>
    public static void SetOperands(OpBuilder builder)
    {
        ref readonly var instruction = ref builder.Instruction;
        builder.Op->Source = instruction.HasRepPrefix ? StringElements.RepeatEqual
            : instruction.HasRepnePrefix ? StringElements.RepeatNotEqual
            : StringElements.NoRepeat;
        for (var i = 0; i < instruction.OpCount; i++)
        {
            var kind = instruction.GetOpKind(i);
            if (kind is OpKind.MemorySegESI or OpKind.MemoryESEDI) builder.Op->Scale |= AnyAddress.Truncate;
            if (kind is not (OpKind.MemorySegESI or OpKind.MemorySegRSI)) continue;
            if (instruction.MemorySegment == Register.FS) builder.Op->Scale |= AnyAddress.Fs;
            if (instruction.MemorySegment == Register.GS) builder.Op->Scale |= AnyAddress.Gs;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TWidth, TAction, TCareful>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TAction : struct, IAction
        where TCareful : struct, IFlagUse
    {
        var outcome = Iterate<TWidth, TAction>(cpu, op, memory, TCareful.Wanted);
        if (outcome != StringOutcome.Done)
        {
            StringElements.LeaveWith(outcome, cpu, op, memory, budget);
            return;
        }

        RepeatedString.End(cpu);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static StringOutcome Iterate<TWidth, TAction>(CpuState* cpu, Op* op, byte* memory, bool careful)
        where TWidth : struct, IWidth
        where TAction : struct, IAction
    {
        var repeats = op->Source != StringElements.NoRepeat;
        var whole = (ulong)StringElements.Slice(cpu);
        var slice = whole;
        while (true)
        {
            var count = repeats ? StringElements.Count(cpu, op) : 1;
            if (count == 0) return StringElements.DoneWithNone(cpu, op);
            if (slice == 0) return StringOutcome.Paused;
            var elements = Math.Min(Math.Min(count, slice), TAction.PlainElements<TWidth>(cpu, op));
            var isPlain = elements != 0;
            if (isPlain)
            {
                TAction.Do<TWidth>(cpu, op, memory, elements);
            }
            else
            {
                if (!careful) return StringOutcome.NotPlain;

                // One careful store can be pending at a time, so the careful element is the only one of its call.
                if (slice != whole) return StringOutcome.Again;
                if (!TAction.TryOne<TWidth>(cpu, op)) return StringOutcome.Faulted;
                elements = 1;
            }

            TAction.Advance(cpu, op, elements * (ulong)TWidth.Bytes);
            if (!repeats) return StringOutcome.Done;
            StringElements.SetCount(cpu, op, count - elements);
            if (!isPlain) return count == 1 ? StringOutcome.Done : whole == 1 ? StringOutcome.Paused : StringOutcome.Again;
            slice -= elements;
        }
    }

    internal unsafe interface IAction
    {
        /// <summary>How many elements can be done at once without care; 0 when the next one needs it.</summary>
        static abstract ulong PlainElements<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth;

        static abstract void Do<TWidth>(CpuState* cpu, Op* op, byte* memory, ulong elements) where TWidth : struct, IWidth;

        /// <summary>One element the careful way; false when it faults.</summary>
        static abstract bool TryOne<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth;

        static abstract void Advance(CpuState* cpu, Op* op, ulong bytes);
    }

    private readonly unsafe struct Move : IAction
    {
        public static ulong PlainElements<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth
        {
            ulong from = StringElements.Source(cpu, op), to = StringElements.Destination(cpu, op);
            if (!PlainAccess.CanLoad(cpu, from, 1) || !PlainAccess.CanStore(cpu, to, 1)) return 0;
            var elements = Math.Min(StringElements.ElementsInPage(from, TWidth.Bytes), StringElements.ElementsInPage(to, TWidth.Bytes));

            // Where the destination runs into what is still to be read, element by element is the only order that is right.
            var ahead = to - from;
            return StringElements.IsDescending(cpu) || (ahead != 0 && ahead < GuestMemory.PageBytes) ? Math.Min(elements, 1) : elements;
        }

        public static void Do<TWidth>(CpuState* cpu, Op* op, byte* memory, ulong elements) where TWidth : struct, IWidth
        {
            byte* from = memory + (long)StringElements.Source(cpu, op), to = memory + (long)StringElements.Destination(cpu, op);
            if (elements == 1) TWidth.Write(to, TWidth.Read(from));
            else Buffer.MemoryCopy(from, to, elements * (ulong)TWidth.Bytes, elements * (ulong)TWidth.Bytes);
        }

        public static bool TryOne<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth
        {
            if (!CarefulAccess.OpenForRead(cpu, StringElements.Source(cpu, op), TWidth.Bytes, stack: false)) return false;
            if (!CarefulAccess.OpenForWrite(cpu, StringElements.Destination(cpu, op), TWidth.Bytes, stack: false)) return false;
            TWidth.Write((byte*)cpu->StoreBounce, TWidth.Read((byte*)cpu->LoadBounce));
            return true;
        }

        public static void Advance(CpuState* cpu, Op* op, ulong bytes)
        {
            StringElements.Advance(cpu, op, Gpr.Rsi, bytes);
            StringElements.Advance(cpu, op, Gpr.Rdi, bytes);
        }
    }

    private readonly unsafe struct Fill : IAction
    {
        public static ulong PlainElements<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth
        {
            var to = StringElements.Destination(cpu, op);
            if (!PlainAccess.CanStore(cpu, to, 1)) return 0;
            var elements = StringElements.ElementsInPage(to, TWidth.Bytes);
            return StringElements.IsDescending(cpu) ? Math.Min(elements, 1) : elements;
        }

        public static void Do<TWidth>(CpuState* cpu, Op* op, byte* memory, ulong elements) where TWidth : struct, IWidth
        {
            var to = memory + (long)StringElements.Destination(cpu, op);
            for (ulong i = 0; i < elements; i++) TWidth.Write(to + (i * (ulong)TWidth.Bytes), cpu->Registers[Gpr.Rax]);
        }

        public static bool TryOne<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth
        {
            if (!CarefulAccess.OpenForWrite(cpu, StringElements.Destination(cpu, op), TWidth.Bytes, stack: false)) return false;
            TWidth.Write((byte*)cpu->StoreBounce, cpu->Registers[Gpr.Rax]);
            return true;
        }

        public static void Advance(CpuState* cpu, Op* op, ulong bytes) => StringElements.Advance(cpu, op, Gpr.Rdi, bytes);
    }

    private readonly unsafe struct Load : IAction
    {
        public static ulong PlainElements<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth
            => PlainAccess.CanLoad(cpu, StringElements.Source(cpu, op), TWidth.Bytes) ? 1UL : 0;

        public static void Do<TWidth>(CpuState* cpu, Op* op, byte* memory, ulong elements) where TWidth : struct, IWidth
            => TWidth.WriteRegister((byte*)&cpu->Registers[Gpr.Rax], TWidth.Read(memory + (long)StringElements.Source(cpu, op)));

        public static bool TryOne<TWidth>(CpuState* cpu, Op* op) where TWidth : struct, IWidth
        {
            if (!CarefulAccess.OpenForRead(cpu, StringElements.Source(cpu, op), TWidth.Bytes, stack: false)) return false;
            TWidth.WriteRegister((byte*)&cpu->Registers[Gpr.Rax], TWidth.Read((byte*)cpu->LoadBounce));
            return true;
        }

        public static void Advance(CpuState* cpu, Op* op, ulong bytes) => StringElements.Advance(cpu, op, Gpr.Rsi, bytes);
    }
}
