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
        new StringMove(), new StringCompare(), new FlagBits(), new FlagsOnStack(), new NoOperation(), new Halt(),
        new SoftwareInterrupt(), new UndefinedInstruction(), new SystemCall(), new InterruptReturn(), new Serialise(),
        new ProcessorIdentity(), new TimeStamp(), new ModelSpecificRegister(), new SegmentBase(), new TableLookup(),
        new PortInputOutput(), new PortStrings(), new DescriptorTables(), new SystemSegment(), new SegmentCheck(), new SystemReturn(), new FarReturn(), new TaskSwitched(),
        new PerformanceCounter(), new CoprocessorWait(),
    ];

    private static readonly InstructionFamily?[] ByMnemonic = Index();

    public static InstructionFamily Of(in Instruction instruction) => ByMnemonic[(int)instruction.Mnemonic] ?? UndefinedInstruction.Instance;

    private static InstructionFamily?[] Index()
    {
        var index = new InstructionFamily?[Enum.GetValues<Mnemonic>().Length];
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
