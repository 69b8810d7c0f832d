using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>CMPS and SCAS, with and without REPE and REPNE.</summary>
internal sealed unsafe class StringCompare : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } =
    [
        Mnemonic.Cmpsb, Mnemonic.Cmpsw, Mnemonic.Cmpsd, Mnemonic.Cmpsq,
        Mnemonic.Scasb, Mnemonic.Scasw, Mnemonic.Scasd, Mnemonic.Scasq,
    ];

    public override bool TryBuild(OpBuilder builder)
    {
        if (!builder.Instruction.IsStringInstruction) return false;
        StringMove.SetOperands(builder);
        var isScan = builder.Instruction.Mnemonic is Mnemonic.Scasb or Mnemonic.Scasw or Mnemonic.Scasd or Mnemonic.Scasq;
        var careful = builder.IsCareful ? typeof(FlagsWanted) : typeof(FlagsUnseen);
        builder.Use(typeof(StringCompare), isScan ? nameof(Scan) : nameof(Compare), OpBuilder.WidthOf(builder.Instruction.MemorySize.GetSize()), careful);
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Compare<TWidth, TCareful>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TCareful : struct, IFlagUse
    {
        var outcome = Iterate<TWidth>(cpu, op, memory, TCareful.Wanted, isScan: false);
        if (outcome != StringOutcome.Done)
        {
            StringElements.LeaveWith(outcome, cpu, op, memory, budget);
            return;
        }

        RepeatedString.End(cpu);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scan<TWidth, TCareful>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TCareful : struct, IFlagUse
    {
        var outcome = Iterate<TWidth>(cpu, op, memory, TCareful.Wanted, isScan: true);
        if (outcome != StringOutcome.Done)
        {
            StringElements.LeaveWith(outcome, cpu, op, memory, budget);
            return;
        }

        RepeatedString.End(cpu);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static StringOutcome Iterate<TWidth>(CpuState* cpu, Op* op, byte* memory, bool careful, bool isScan)
        where TWidth : struct, IWidth
    {
        ulong flagA = cpu->FlagA, flagB = cpu->FlagB, flagC = cpu->FlagC;
        var flagKind = cpu->FlagKind;
        var outcome = Repeat<TWidth>(cpu, op, memory, careful, isScan);
        if (outcome is not (StringOutcome.Faulted or StringOutcome.NotPlain)) return outcome;

        // A page fault in the middle finds the flags from before the instruction, though the registers have moved on (SDM vol. 2, REP).
        (cpu->FlagA, cpu->FlagB, cpu->FlagC, cpu->FlagKind) = (flagA, flagB, flagC, flagKind);
        return outcome;
    }

    private static StringOutcome Repeat<TWidth>(CpuState* cpu, Op* op, byte* memory, bool careful, bool isScan)
        where TWidth : struct, IWidth
    {
        var repeats = op->Source != StringElements.NoRepeat;
        for (var slice = StringElements.Slice(cpu); ; slice--)
        {
            var count = repeats ? StringElements.Count(cpu, op) : 1;
            if (count == 0) return StringElements.DoneWithNone(cpu, op);
            if (slice == 0) return StringOutcome.Paused;

            ulong from = StringElements.Source(cpu, op), to = StringElements.Destination(cpu, op);
            ulong a, b;
            if ((isScan || PlainAccess.CanLoad(cpu, from, TWidth.Bytes)) && PlainAccess.CanLoad(cpu, to, TWidth.Bytes))
            {
                a = isScan ? TWidth.ZeroExtend(cpu->Registers[Gpr.Rax]) : TWidth.Read(memory + (long)from);
                b = TWidth.Read(memory + (long)to);
            }
            else
            {
                if (!careful) return StringOutcome.NotPlain;
                if (!isScan && !CarefulAccess.OpenForRead(cpu, from, TWidth.Bytes, stack: false)) return StringOutcome.Faulted;
                a = isScan ? TWidth.ZeroExtend(cpu->Registers[Gpr.Rax]) : TWidth.Read((byte*)cpu->LoadBounce);
                if (!CarefulAccess.OpenForRead(cpu, to, TWidth.Bytes, stack: false)) return StringOutcome.Faulted;
                b = TWidth.Read((byte*)cpu->LoadBounce);
            }

            LazyFlags.Set(cpu, LazyFlags.Subtract + TWidth.Log2Bytes, a, b);
            if (!isScan) StringElements.Advance(cpu, op, Gpr.Rsi, (ulong)TWidth.Bytes);
            StringElements.Advance(cpu, op, Gpr.Rdi, (ulong)TWidth.Bytes);
            if (!repeats) return StringOutcome.Done;
            StringElements.SetCount(cpu, op, count - 1);
            if ((a == b) != (op->Source == StringElements.RepeatEqual)) return StringOutcome.Done;
        }
    }
}
