using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>Every instruction that the machine has, by the family that implements it. What is not here is #UD.</summary>
internal static class InstructionTable
{
    public static readonly IReadOnlyList<InstructionFamily> Families =
    [
        new Move(), new ExtendingMove(), new LoadEffectiveAddress(), new ConditionalMove(), new SetOnCondition(), new Exchange(),
        new CompareAndExchange(), new ByteSwap(),
        new BinaryArithmetic(), new UnaryArithmetic(), new Multiply(), new Divide(), new SignExtension(),
        new Shift(), new RotateThroughCarry(), new DoubleShift(), new FlaglessShift(), new BitTest(), new BitScan(),
        new BitManipulation(), new CarryChain(),
        new Push(), new Pop(), new StackFrame(), new Jump(), new ConditionalJump(), new Loop(), new Call(), new Return(),
        new StringMove(), new StringCompare(), new FlagBits(), new FlagsOnStack(), new NoOperation(), new CacheLineFlush(), new Halt(),
        new SoftwareInterrupt(), new UndefinedInstruction(), new SystemCall(), new InterruptReturn(), new Serialise(),
        new ProcessorIdentity(), new TimeStamp(), new ModelSpecificRegister(), new SegmentBase(), new TableLookup(),
        new PortInputOutput(), new PortStrings(), new DescriptorTables(), new SystemSegment(), new SegmentCheck(), new SystemReturn(), new FarReturn(), new TaskSwitched(),
        new PerformanceCounter(), new CoprocessorWait(),
    ];

    private static readonly InstructionFamily?[] ByMnemonic = Index();

    public static InstructionFamily Of(in Instruction instruction) => (int)instruction.Mnemonic < ByMnemonic.Length && ByMnemonic[(int)instruction.Mnemonic] is { } family ? family : UndefinedInstruction.Instance;

    private static InstructionFamily?[] Index()
    {
        // As long as what is claimed: to ask the enum for its length would read the names of all its 2,000 members at every start.
        var last = 0;
        foreach (var family in Families)
            foreach (var mnemonic in family.Mnemonics) last = Math.Max(last, (int)mnemonic);
        var index = new InstructionFamily?[last + 1];
        foreach (var family in Families)
        {
            foreach (var mnemonic in family.Mnemonics)
            {
                if (index[(int)mnemonic] is { } other)
                    throw new InvalidOperationException($"{mnemonic} is claimed by {other.GetType().Name} and by {family.GetType().Name}");
                index[(int)mnemonic] = family;
            }
        }

        return index;
    }
}
