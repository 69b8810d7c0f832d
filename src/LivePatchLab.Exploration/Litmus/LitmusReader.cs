using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>Reads a litmus file: one line, one section; what is indented belongs to the section above it. The format is in docs/litmus.md.</summary>
internal sealed class LitmusReader(string file, string text)
{
    private static readonly string[] Keywords =
        ["litmus", "question", "site", "variable", "order", "gate", "handler", "text", "fail", "cpu0", "cpu1", "cpu2", "cpu3", "interrupt", "nmi", "keeps", "never", "allowed", "verdict", "control"];

    private readonly List<LitmusOutcome> _never = [], _allowed = [];
    private readonly List<LitmusExpectation> _expected = [];
    private readonly List<Action> _programs = [], _later = [];
    private LitmusSituation _situation = new();
    private LitmusSituation? _control;
    private string? _name, _question;
    private Invariants? _keeps;

    public LitmusTest Read()
    {
        var sections = LitmusSection.Split(file, text);
        if (sections.Count == 0 || !sections[0].Head.Copy().TryWord("litmus")) throw new LitmusCursor(file, 1, "").Fail("a litmus test begins with the line 'litmus GROUP/NAME'");
        foreach (var section in sections) ReadSection(section);

        // What programs and outcomes name may be declared behind them.
        foreach (var section in _programs.Concat(_later)) section();
        return Finish(new(file, 1, ""));
    }

    private LitmusTest Finish(LitmusCursor top)
    {
        if (_question is null) throw top.Fail("a line 'question …' is missing: what does this test ask?");
        if (_situation.Programs.Count == 0) throw top.Fail("nobody does anything: give at least one CPU a program, as in 'cpu1  runs the site twice'");
        if (_keeps is null && _never.Count == 0) throw top.Fail("nothing is forbidden: say what must hold ('keeps I1, I2') or how no execution may end ('never cpu1:rax = 1')");
        if (_expected.Count == 0) throw top.Fail("no verdict is expected: give one for each model, as in 'verdict ideal pass  because …'");
        foreach (var model in FetchModel.Presets)
            if (_expected.All(e => e.Model != model.Name)) throw top.Fail($"no verdict is expected under {model.Name}: add 'verdict {model.Name} pass|violation|inconclusive  because …'");
        if (_control is null && _situation.Sites.Count == 0) throw top.Fail("a test without a site needs a control of its own: add 'control cpu0 …' with a program that must be caught");
        var control = _control ?? LitmusControl.ByteByByte(_situation);
        LayOut(_situation, top);
        LayOut(control, top);
        return new()
        {
            File = file,
            Name = _name!,
            Question = _question,
            Situation = _situation,
            Control = control,
            Keeps = _keeps ?? Invariants.None,
            Never = _never,
            Allowed = _allowed,
            Expected = _expected,
        };
    }

    /// <summary>What cannot be laid out is said now, not when it is explored.</summary>
    private static void LayOut(LitmusSituation situation, LitmusCursor top)
    {
        try
        {
            _ = new LitmusLayout(situation);
        }
        catch (BadInputException e)
        {
            throw top.Fail(e.Message);
        }
    }

    private void ReadSection(LitmusSection section)
    {
        var head = section.Head;
        var at = head.Copy();
        var keyword = head.Name("what the line is about");
        if (!Keywords.Contains(keyword)) throw at.Fail($"there is no '{keyword}' in a litmus test.{Suggestion.Question(Keywords, keyword)}  (there are: {string.Join(", ", Keywords)})");
        if (section.Body.Count > 0 && keyword is not ("control" or "question" or "verdict") && !keyword.StartsWith("cpu", StringComparison.Ordinal))
            throw section.Body[0].Fail($"nothing is indented below '{keyword}': begin a line of its own in the first column");
        switch (keyword)
        {
            case "litmus":
                if (_name is not null) throw at.Fail("a file holds one test; this is the second");
                _name = head.Name("the test's name");
                head.ExpectEnd();
                break;
            case "question":
                if (_question is not null) throw at.Fail("a test asks one question; this is the second");
                _question = section.Prose();
                if (_question.Length == 0) throw head.Fail("the question is missing here");
                break;
            case "keeps":
                _keeps = (_keeps ?? Invariants.None) | LitmusSituationReader.ReadInvariants(head);
                break;
            case "never":
            case "allowed":
                var outcomes = keyword == "never" ? _never : _allowed;
                _later.Add(() =>
                {
                    outcomes.Add(LitmusOutcomeReader.Read(head, _situation));
                    head.ExpectEnd();
                });
                break;
            case "verdict":
                ReadVerdict(section);
                break;
            case "control":
                _later.Add(() => _control = new LitmusSituationReader(_control ?? _situation).Read(head.Copy(), head.Name("what the control does otherwise"), head, section.Body, isControl: true));
                break;
            default:
                // Programs name sites and variables, which may stand below them.
                if (keyword.StartsWith("cpu", StringComparison.Ordinal)) _programs.Add(() => ReadSituation(section, at, keyword));
                else ReadSituation(section, at, keyword);
                break;
        }
    }

    private void ReadSituation(LitmusSection section, LitmusCursor at, string keyword)
        => _situation = new LitmusSituationReader(_situation).Read(at, keyword, section.Head, section.Body, isControl: false);

    private void ReadVerdict(LitmusSection section)
    {
        var head = section.Head;
        var models = new List<LitmusCursor>();
        var names = new List<string>();
        if (head.TryWords("every", "model"))
        {
            names.AddRange(FetchModel.Presets.Select(m => m.Name));
        }
        else
        {
            do
            {
                models.Add(head.Copy());
                names.Add(head.OneOf(LitmusModels.Names, m => m, "fetch model"));
            }
            while (head.TryWord(","));
        }

        var at = head.Copy();
        var word = head.Name("'pass', 'violation' or 'inconclusive'");
        if (!LitmusModels.TryParse(word, out var verdict)) throw at.Fail($"no verdict named '{word}'.{Suggestion.Question(LitmusModels.VerdictNames, word)}  (there are: {string.Join(", ", LitmusModels.VerdictNames)})");
        if (head.IsAtEnd) throw head.Fail("the reason is missing here: why must the verdict be so?");
        var reason = section.Prose();
        for (var i = 0; i < names.Count; i++)
        {
            var place = i < models.Count ? models[i] : at;
            if (_expected.Find(e => e.Model == names[i]) is { } known) throw place.Fail($"a verdict under {names[i]} is expected already, in line {known.Line}");
            _expected.Add(new(names[i], verdict, reason, head.Line));
        }
    }
}

/// <summary>A line of a litmus file with what is indented below it, comments left out.</summary>
internal sealed record LitmusSection(LitmusCursor Head, IReadOnlyList<LitmusCursor> Body)
{
    /// <summary>What is left of the first line and all that is below it, as one text.</summary>
    public string Prose() => string.Join(' ', Body.Select(b => b.Rest()).Prepend(Head.Rest()).Where(t => t.Length > 0));

    public static IReadOnlyList<LitmusSection> Split(string file, string text)
    {
        var sections = new List<LitmusSection>();
        var number = 0;
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            number++;
            var content = WithoutComment(line.ToString());
            if (content.Trim().Length == 0) continue;
            var cursor = new LitmusCursor(file, number, content);
            if (content[0] is not (' ' or '\t')) sections.Add(new(cursor, new List<LitmusCursor>()));
            else if (sections.Count == 0) throw cursor.Fail("the first line is indented, and there is nothing above that it could belong to");
            else ((List<LitmusCursor>)sections[^1].Body).Add(cursor);
        }

        return sections;
    }

    /// <summary>A comment begins with '#' at the start of a line or behind a blank.</summary>
    private static string WithoutComment(string line)
    {
        for (var i = 0; i < line.Length; i++)
            if (line[i] == '#' && (i == 0 || line[i - 1] is ' ' or '\t')) return line[..i];
        return line;
    }
}

/// <summary>The names of fetch models and verdicts in litmus files.</summary>
public static class LitmusModels
{
    /// <summary>The models that a file may name.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. FetchModel.Presets.Select(m => m.Name)];

    public static IReadOnlyList<string> VerdictNames { get; } = ["pass", "violation", "inconclusive"];

    public static string NameOf(this Verdict verdict) => verdict.ToString().ToLowerInvariant();

    public static bool TryParse(string name, out Verdict verdict)
    {
        var index = VerdictNames.ToList().IndexOf(name);
        verdict = index switch
        {
            0 => Verdict.Pass,
            1 => Verdict.Violation,
            _ => Verdict.Inconclusive,
        };
        return index >= 0;
    }
}
