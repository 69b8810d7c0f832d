using LivePatchLab.Linux;

namespace LivePatchLab.Exploration;

/// <summary>Reads how an execution may end: <c>cpu1:rax = 1 and flag = 0 and site = old</c>.</summary>
internal static class LitmusOutcomeReader
{
    public static readonly string[] Registers = ["rax", "rcx", "rdx", "rbx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r12", "r13", "r14", "r15"];

    public static LitmusOutcome Read(LitmusCursor line, LitmusSituation situation)
    {
        var terms = new List<LitmusTerm>();
        do terms.Add(ReadTerm(line, situation));
        while (line.TryWord("and"));
        return new(terms);
    }

    private static LitmusTerm ReadTerm(LitmusCursor line, LitmusSituation situation)
    {
        var at = line.Copy();
        var name = line.Identifier("a register (cpu1:rax), a variable or a site");
        if (line.TryWord(":"))
        {
            if (!name.StartsWith("cpu", StringComparison.Ordinal) || !int.TryParse(name.AsSpan(3), out var cpu) || cpu < 0 || cpu >= situation.Cpus)
                throw at.Fail($"there is no '{name}': the CPUs are cpu0 to cpu{situation.Cpus - 1}");
            var register = ReadRegister(line);
            var relation = ReadRelation(line);
            return new LitmusRegisterTerm(cpu, register, relation, line.Number("a value"));
        }

        if (situation.Variables.Any(v => v.Name == name))
        {
            var relation = ReadRelation(line);
            return new LitmusVariableTerm(name, relation, line.Number("a value"));
        }

        var site = situation.Sites.FirstOrDefault(s => s.Name == name)
            ?? throw at.Fail(Unknown(situation, name));
        var equal = line.Copy();
        var how = ReadRelation(line);
        if (how is not (LitmusRelation.Equal or LitmusRelation.NotEqual)) throw equal.Fail("bytes are equal ('=') or not ('!=')");
        return new LitmusSiteTerm(name, how == LitmusRelation.Equal, ReadBytes(line, site.Length));
    }

    public static string ReadRegister(LitmusCursor line) => line.OneOf(Registers, r => r, "register");

    /// <summary>old, new, or as many bytes.</summary>
    public static LitmusBytes ReadBytes(LitmusCursor line, int length)
    {
        if (line.TryWord("old")) return new("old", []);
        if (line.TryWord("new")) return new("new", []);
        var at = line.Copy();
        var bytes = line.Bytes();
        if (bytes.Length == 0) throw at.Fail("bytes are missing here: 'old', 'new', or hexadecimal ones, as in cc or 0f 1f 44 00 00");
        return bytes.Length == length ? new(null, bytes) : throw at.Fail($"{bytes.Length} bytes for a place of {length}: give as many as it has");
    }

    /// <summary>There is neither a site nor a variable of that name.</summary>
    public static string Unknown(LitmusSituation situation, string name)
    {
        string[] names = [.. situation.Sites.Select(s => s.Name), .. situation.Variables.Select(v => v.Name)];
        return $"there is no site or variable '{name}'.{Suggestion.Question(names, name)}{(names.Length > 0 ? $"  (there are: {string.Join(", ", names)})" : "  Declare it, as in 'variable flag = 0'.")}";
    }

    private static LitmusRelation ReadRelation(LitmusCursor line)
        => line.TryWord("!=") ? LitmusRelation.NotEqual
            : line.TryWord("=") ? LitmusRelation.Equal
            : line.TryWord("<") ? LitmusRelation.Less
            : line.TryWord(">") ? LitmusRelation.Greater
            : throw line.Fail("'=', '!=', '<' or '>' is missing here");
}
