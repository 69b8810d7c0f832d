using LivePatchLab.Linux;

namespace LivePatchLab.Exploration;

/// <summary>Reads a line of guest code: an instruction of the small set that litmus tests need, a label, a site, a store to a site, or bytes.</summary>
internal static class LitmusInstructionReader
{
    private static readonly string[] Words = [.. LitmusEncoder.Mnemonics, "lock", "store", "poke", "bytes"];

    public static LitmusInstruction Read(LitmusCursor line, LitmusSituation situation)
    {
        var at = line.Copy();
        if (!char.IsAsciiLetter(line.Peek())) throw line.Fail("an instruction, a label or a site is missing here");
        if (line.TryWord("store")) return ReadOwnStore(line, at, situation);
        if (line.TryWord("poke")) return new LitmusGuestStore(line.Line, LitmusStepReader.ReadStore(line, situation), IsAlias: true);
        if (line.TryWord("bytes"))
        {
            var bytes = line.Bytes();
            return bytes.Length > 0 ? new LitmusRawBytes(line.Line, bytes) : throw line.Fail("bytes are missing here, as in 0f 0b");
        }

        var isLocked = line.TryWord("lock");
        var word = line.Identifier("an instruction");
        if (!isLocked && line.TryWord(":")) return new LitmusLabel(line.Line, word);
        if (!isLocked && situation.Sites.Any(s => s.Name == word)) return new LitmusSiteHere(line.Line, word);
        if (!LitmusEncoder.Mnemonics.Contains(word))
        {
            string[] names = [.. Words, .. situation.Sites.Select(s => s.Name)];
            throw at.Fail($"there is no instruction '{word}' here.{Suggestion.Question(names, word)}  (there are: {string.Join(", ", names)})");
        }

        var operands = new List<LitmusOperand>();
        if (!line.IsAtEnd && line.Peek() != ';')
        {
            do operands.Add(ReadOperand(line, situation));
            while (line.TryWord(","));
        }

        var instruction = new LitmusMnemonic(line.Line, word, operands, isLocked);
        if (LitmusEncoder.Complaint(instruction) is { } complaint) throw at.Fail(complaint);
        return instruction;
    }

    private static LitmusGuestStore ReadOwnStore(LitmusCursor line, LitmusCursor at, LitmusSituation situation)
    {
        var store = LitmusStepReader.ReadStore(line, situation);
        if (store.Length is not (1 or 2 or 4 or 8)) throw at.Fail($"a store of a CPU has 1, 2, 4 or 8 bytes, not {store.Length}: write several, or 'poke' through an alias");
        if (store.IsByteByByte) throw at.Fail("a store of a CPU is one store: write one line for each byte");
        return new(line.Line, store, IsAlias: false);
    }

    private static LitmusOperand ReadOperand(LitmusCursor line, LitmusSituation situation)
    {
        if (line.TryWord("["))
        {
            if (situation.Order != Machine.MemoryOrder.SequentiallyConsistent) throw line.Fail("under 'order tso' and 'order pso' only steps of kernel code read and write variables: write this CPU's program as 'steps'");
            var variable = LitmusStepReader.ReadVariable(line, situation);
            line.Expect("]", "a variable in memory is [flag]");
            return new(LitmusOperandKind.Variable, variable, 0);
        }

        if (char.IsAsciiDigit(line.Peek()) || line.Peek() == '-') return new(LitmusOperandKind.Number, "", line.Number("a number"));
        var name = line.Identifier("a register, a number, a variable in brackets, or a label");
        return new(LitmusOutcomeReader.Registers.Contains(name) ? LitmusOperandKind.Register : LitmusOperandKind.Label, name, 0);
    }
}
