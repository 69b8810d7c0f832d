using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>Turns decoded instructions into operations, in the three forms in which they run.</summary>
internal sealed unsafe class BlockBuilder(OpArena arena)
{
    public const int LongestBlock = 64;

    private static readonly nint UnlinkedEdge = HandlerAddress.Of(typeof(Leave), nameof(Leave.ByUnlinkedEdge));
    private static readonly nint ToNext = HandlerAddress.Of(typeof(Leave), nameof(Leave.ToNext));

    private readonly OpBuilder _builder = new();

    public static nint BudgetStepHandler { get; } = HandlerAddress.Of(typeof(BudgetStep), nameof(BudgetStep.Pay));

    /// <summary>The common form: flags only where they are seen, a comparison and its branch in one, the budget paid at entry.</summary>
    public Op* BuildFast(ReadOnlySpan<Instruction> instructions, int id)
    {
        Span<RflagsBits> seen = stackalloc RflagsBits[LongestBlock];
        FlagLiveness.Find(instructions, seen);

        var header = (BlockHeader*)arena.Allocate(instructions.Length + SlotsAround);
        header->Id = id;
        var first = (Op*)(header + 1);
        var op = first;
        for (var i = 0; i < instructions.Length; i++)
        {
            var remaining = instructions.Length - i;
            if (i == instructions.Length - 2 && TryFuse(instructions[i], instructions[i + 1], op))
            {
                op = Link(op);
                return first;
            }

            Build(instructions[i], op, remaining, careful: false, seen[i]);
            op = Link(op);
        }

        GoOn(op, instructions[^1]);
        return first;
    }

    /// <summary>The form for a CPU that may have to stop inside.</summary>
    public Op* BuildPrecise(ReadOnlySpan<Instruction> instructions, BlockHeader* header)
    {
        var first = arena.Allocate((2 * instructions.Length) + SlotsAround);
        var op = first;
        foreach (ref readonly var instruction in instructions)
        {
            *op = new Op { Handler = BudgetStepHandler, Immediate = (long)header, Rip = (int)instruction.IP };
            op++;
            Build(instruction, op, remaining: 1, careful: false, FlagLiveness.Status);
            op = Link(op);
        }

        GoOn(op, instructions[^1]);
        return first;
    }

    /// <summary>One instruction that runs alone.</summary>
    public Op* BuildSingle(in Instruction instruction)
    {
        var op = arena.Allocate(1 + SlotsAround);
        Build(instruction, op, remaining: 1, careful: true, FlagLiveness.Status);
        var next = Link(op);
        if (next == op + 1) *next = new Op { Handler = ToNext, Immediate = (long)instruction.NextIP };
        return op;
    }

    // A header, and an operation that goes on with its edges and their stubs.
    private const int SlotsAround = 6;

    private bool TryFuse(in Instruction instruction, in Instruction branch, Op* op)
    {
        if (InstructionTable.Of(branch) is not ConditionalJump) return false;
        var condition = Conditions.Of(branch);
        if (!Conditions.IsOfComparison(condition)) return false;
        _builder.Begin(instruction, op, remaining: 2, careful: false, FlagLiveness.Status);
        if (!InstructionTable.Of(instruction).TryBuildWithBranch(_builder, condition)) return false;
        _builder.BranchTo(branch.NearBranchTarget, branch.NextIP);
        return true;
    }

    private void Build(in Instruction instruction, Op* op, int remaining, bool careful, RflagsBits flagsSeen)
    {
        _builder.Begin(instruction, op, remaining, careful, flagsSeen);
        if (!instruction.IsInvalid && InstructionTable.Of(instruction).TryBuild(_builder)) return;
        _builder.Begin(instruction, op, remaining, careful, flagsSeen);
        if (InstructionDecoder.IsTooLong(instruction)) UndefinedInstruction.BuildTooLong(_builder);
        else UndefinedInstruction.Instance.TryBuild(_builder);
    }

    /// <summary>Lays the edges of a direct branch behind it; returns the slot after.</summary>
    private Op* Link(Op* op)
    {
        if (_builder.Taken is not { } taken) return op + 1;
        var edges = Edges.Of(op);
        edges->Taken = Stub(op + 2, &edges->Taken, taken);
        if (_builder.NotTaken is not { } notTaken) return op + 3;
        edges->NotTaken = Stub(op + 3, &edges->NotTaken, notTaken);
        return op + 4;
    }

    private static Op* Stub(Op* stub, Op** edge, ulong target)
    {
        *stub = new Op { Handler = UnlinkedEdge, Immediate = (long)target, Displacement = (int)((byte*)edge - (byte*)stub) };
        return stub;
    }

    private void GoOn(Op* op, in Instruction last)
    {
        if (last.FlowControl != FlowControl.Next) return;
        Jump.BuildGoOn(_builder, op, last);
        Link(op);
    }
}
