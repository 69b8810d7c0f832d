using System.Globalization;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>Reads the sections that say what lies in memory and who does what; those of a control stand behind the word 'control' and replace the test's own.</summary>
internal sealed class LitmusSituationReader(LitmusSituation situation)
{
    private static readonly (string Name, MemoryOrder Order)[] Orders =
        [("sc", MemoryOrder.SequentiallyConsistent), ("tso", MemoryOrder.TotalStoreOrder), ("pso", MemoryOrder.PartialStoreOrder)];

    private static readonly (string Name, int Errno)[] Errnos = [.. new[] { Errno.Eperm, Errno.Efault, Errno.Ebusy, Errno.Einval }.Select(e => (Errno.NameOf(e)[1..], e))];

    /// <summary>Reads one.</summary>
    /// <param name="at">Where its keyword stands.</param>
    /// <param name="keyword">What it is about.</param>
    /// <param name="head">The rest of its line.</param>
    /// <param name="body">What is indented below it.</param>
    /// <param name="isControl">Whether it changes what a test has said before.</param>
    public LitmusSituation Read(LitmusCursor at, string keyword, LitmusCursor head, IReadOnlyList<LitmusCursor> body, bool isControl)
    {
        var read = keyword switch
        {
            "site" when !isControl => situation with { Sites = [.. situation.Sites, ReadSite(head)] },
            "variable" => situation with { Variables = [.. situation.Variables, ReadVariable(head)] },
            "order" => situation with { Order = head.OneOf(Orders, o => o.Name, "memory order").Order },
            "gate" => situation with { Gate = head.OneOf(Enum.GetValues<GateType>(), g => g.ToString().ToLowerInvariant(), "gate") },
            "handler" => situation with { Handler = ReadHandler(head) },
            "text" => situation with { TextIsWritable = ReadText(head) },
            "fail" => situation with { Faults = [.. situation.Faults, ReadFault(head)] },
            "interrupt" or "nmi" => situation with { Interrupts = [.. situation.Interrupts, new(ReadCpu(head), keyword == "nmi")] },
            "cpu0" or "cpu1" or "cpu2" or "cpu3" => situation with { Programs = ReadProgram(at, keyword[3] - '0', head, body, isControl) },
            _ => throw at.Fail(isControl ? $"a control says nothing about '{keyword}': it changes a cpu, the order, the gate, the handler, the text or what fails" : $"there is no '{keyword}' in a litmus test"),
        };
        head.ExpectEnd();
        return read;
    }

    /// <summary>I1, I2, …, or the names that the lab's own code gives them, with commas.</summary>
    public static Invariants ReadInvariants(LitmusCursor head)
    {
        var invariants = Invariants.None;
        (string Name, Invariants Invariant)[] names =
        [
            .. Enumerable.Range(1, InvariantNames.Count).Select(i => ($"I{i}", InvariantNames.Numbered(i))),
            .. Enumerable.Range(1, InvariantNames.Count).Select(i => (InvariantNames.Numbered(i).ToString(), InvariantNames.Numbered(i))),
        ];
        do invariants |= head.OneOf(names, n => n.Name, "invariant").Invariant;
        while (head.TryWord(","));
        head.ExpectEnd();
        return invariants;
    }

    private static int ReadCpu(LitmusCursor head)
    {
        var at = head.Copy();
        return head.Identifier("the CPU, cpu0 to cpu3,") switch
        {
            "cpu0" => 0,
            "cpu1" => 1,
            "cpu2" => 2,
            "cpu3" => 3,
            var other => throw at.Fail($"there is no '{other}': the CPUs are cpu0 to cpu3"),
        };
    }

    private static LitmusHandler? ReadHandler(LitmusCursor head)
    {
        (string Name, LitmusHandler? Handler)[] handlers = [("skip", LitmusHandler.Skip), ("emulate-new", LitmusHandler.EmulateNew), ("emulate-old", LitmusHandler.EmulateOld), ("retry", LitmusHandler.Retry), ("spin", LitmusHandler.Spin), ("none", null)];
        return head.OneOf(handlers, h => h.Name, "handler").Handler;
    }

    private static bool ReadText(LitmusCursor head)
    {
        head.Expect("writable", "text is read-only unless a line says 'text writable'");
        return true;
    }

    private static LitmusFault ReadFault(LitmusCursor head)
    {
        var point = head.OneOf(Enum.GetValues<FaultPoint>(), p => p.ToString().ToLowerInvariant(), "operation that can fail");
        var ordinal = (int)head.Number("which of them, counted from 1,", 1, 1000);
        return new(point, ordinal, head.OneOf(Errnos, e => e.Name, "error").Errno);
    }

    private LitmusVariable ReadVariable(LitmusCursor head)
    {
        var at = head.Copy();
        var name = head.Identifier("the variable's name");
        if (LitmusOutcomeReader.Registers.Contains(name) || situation.Sites.Any(s => s.Name == name) || situation.Variables.Any(v => v.Name == name))
            throw at.Fail($"the name '{name}' is taken");
        head.Expect("=", "a variable has a value at the start, as in 'variable flag = 0'");
        return new(name, head.Number("the value at the start"));
    }

    private LitmusSite ReadSite(LitmusCursor head)
    {
        var name = "site";
        var at = head.Copy();
        var named = head.Copy();
        if (char.IsAsciiLetter(named.Peek()) && named.Identifier("a name") is var given && named.TryWord(":"))
        {
            name = given;
            _ = head.Identifier("a name");
            _ = head.TryWord(":");
        }

        if (LitmusOutcomeReader.Registers.Contains(name) || situation.Sites.Any(s => s.Name == name) || situation.Variables.Any(v => v.Name == name))
            throw at.Fail($"the name '{name}' is taken: name each site, as in 'site y: call old -> call new'");
        if (situation.Sites.Count == 8) throw at.Fail("a test has at most 8 sites");
        var old = ReadCode(head);
        head.Expect("->", "a site is 'OLD -> NEW'");
        var before = head.Copy();
        var @new = ReadCode(head);
        if (@new.Length != old.Length) throw before.Fail($"the new code has {@new.Length} bytes and the old one {old.Length}: they must be equally long");
        int? offset = head.TryWord(",") ? ReadPlace(head, situation.Sites.Count > 0) : situation.Sites.Count == 0 ? 0 : null;
        return new(name, old, @new, offset);
    }

    /// <summary>One instruction, or several one behind the other.</summary>
    private static LitmusCode ReadCode(LitmusCursor head)
    {
        var at = head.Copy();
        var parts = new List<LitmusCodePart>();
        while (ReadCodePart(head) is { } part) parts.Add(part);
        if (parts.Count == 0) throw head.Fail("an instruction is missing here: 'nop5', 'call old', 'call new', 'jmp old', 'jmp new', or its bytes, as in 0f 1f 44 00 00; or several of them");
        var code = new LitmusCode(parts);
        return code.Length <= LitmusCode.BytesMax ? code : throw at.Fail($"{code.Length} bytes: a site has at most {LitmusCode.BytesMax}");
    }

    private static LitmusCodePart? ReadCodePart(LitmusCursor head)
    {
        if (head.TryWord("nop5")) return LitmusCodePart.Nop5;
        if (head.TryWords("call", "old")) return new(LitmusCodePart.Call, false, []);
        if (head.TryWords("call", "new")) return new(LitmusCodePart.Call, true, []);
        if (head.TryWords("jmp", "old")) return new(LitmusCodePart.Jump, false, []);
        if (head.TryWords("jmp", "new")) return new(LitmusCodePart.Jump, true, []);
        var bytes = head.Bytes();
        return bytes.Length > 0 ? new(0, false, bytes) : null;
    }

    private static int ReadPlace(LitmusCursor head, bool isFollower)
    {
        if (isFollower) throw head.Fail("only the first site is placed: the others follow it");
        const string Hint = "a place is 'aligned', 'at byte 5 of a line', '3 bytes before an 8-byte boundary' or '3 bytes before the end of a line'";
        if (head.TryWord("aligned")) return 0;
        if (head.TryWords("at", "byte"))
        {
            var place = (int)head.Number("the byte", 0, 63);
            if (!head.TryWords("of", "a", "line")) throw head.Fail(Hint);
            return place;
        }

        if (!char.IsAsciiDigit(head.Peek())) throw head.Fail(Hint);
        var bytes = (int)head.Number("the number of bytes", 1, 63);
        if (!head.TryWord("bytes") && !head.TryWord("byte")) throw head.Fail(Hint);
        if (head.TryWords("before", "an", "8-byte", "boundary")) return bytes < 8 ? 8 - bytes : throw head.Fail("an 8-byte boundary is at most 7 bytes ahead");
        return head.TryWords("before", "the", "end", "of", "a", "line") ? 64 - bytes : throw head.Fail(Hint);
    }

    private Dictionary<int, LitmusProgram> ReadProgram(LitmusCursor at, int cpu, LitmusCursor head, IReadOnlyList<LitmusCursor> body, bool isControl)
    {
        if (!isControl && situation.Programs.ContainsKey(cpu)) throw at.Fail($"cpu{cpu} has a program already");
        var programs = situation.Programs.ToDictionary();
        if (head.TryWord("idle"))
        {
            programs.Remove(cpu);
            return programs;
        }

        programs[cpu] = head.TryWord("patcher") ? ReadPatcher(head)
            : head.TryWord("runs") ? ReadVisits(head)
            : head.TryWord("steps") ? new LitmusSteps(ReadBody(head, body, line => LitmusStepReader.Read(line, situation)))
            : head.TryWord("code") ? new LitmusGuestCode(ReadBody(head, body, line => LitmusInstructionReader.Read(line, situation)))
            : throw head.Fail("a CPU's program is 'patcher PROTOCOL', 'runs the site twice', 'steps', 'code', or 'idle' in a control");
        if (programs[cpu] is LitmusPatcher or LitmusVisits && body.Count > 0) throw body[0].Fail("nothing is indented below this program: only 'steps' and 'code' have lines of their own");
        return programs;
    }

    private static List<T> ReadBody<T>(LitmusCursor head, IReadOnlyList<LitmusCursor> body, Func<LitmusCursor, T> read)
    {
        if (body.Count == 0) throw head.Fail("the program is missing: its lines stand indented below this one");
        var items = new List<T>();
        foreach (var line in body)
        {
            do
            {
                items.Add(read(line));
            }
            while (line.TryWord(";"));
            line.ExpectEnd();
        }

        return items;
    }

    private LitmusPatcher ReadPatcher(LitmusCursor head)
    {
        var protocol = head.OneOf(Protocols.All, p => p.Name, "protocol");
        var sites = new List<string>();
        if (head.TryWord("of"))
        {
            do sites.Add(LitmusStepReader.ReadSite(head, situation).Name);
            while (head.TryWord(","));
        }

        if (!head.TryWord("without")) return new(protocol, sites);
        if (!head.TryWords("the", "sync", "after")) throw head.Fail("what is left out is 'the sync after PHASE'");
        var at = head.Copy();
        var phase = head.Rest();
        var phases = PatchPhases.Of(protocol);
        if (!phases.Contains(phase)) throw at.Fail($"{protocol.Name} has no phase '{phase}'.{Suggestion.Question(phases, phase)}  (there are: {string.Join("; ", phases)})");
        return new(protocol.Without(phase), sites);
    }

    private LitmusVisits ReadVisits(LitmusCursor head)
    {
        if (!head.TryWords("the", "site") && !head.TryWords("the", "sites")) throw head.Fail("a CPU 'runs the site once', 'runs the sites twice', 'runs the site 3 times'");
        if (situation.Sites.Count == 0) throw head.Fail("there is no site: declare one, as in 'site call old -> call new'");
        if (head.TryWord("once")) return new(1);
        if (head.TryWord("twice")) return new(2);
        var visits = (int)head.Number("how often", 1, 8);
        head.Expect("times", string.Create(CultureInfo.InvariantCulture, $"as in 'runs the site {visits} times'"));
        return new(visits);
    }
}
