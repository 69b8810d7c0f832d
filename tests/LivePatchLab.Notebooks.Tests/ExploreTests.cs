using System.Text.RegularExpressions;

namespace LivePatchLab.Notebooks.Tests;

/// <summary>Explorations in cells and by the magic, and what goes wrong in a protocol that a cell has made.</summary>
[Collection("Sessions")]
public sealed partial class ExploreTests
{
    private readonly LabSession _lab = new();

    private const string ByteByByte = """
        IEnumerable<KernelStep> Mine(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            foreach (var site in sites)
                for (var i = 0; i < site.Length; i++)
                    yield return kernel.TextPoke(site.Address + i, site.NewCode.AsMemory(i, 1));
        }

        """;

    [Fact]
    public async Task A_protocol_of_a_cell_is_shown_wrong_by_a_run_that_can_be_had_again()
    {
        var text = await _lab.Text(ByteByByte + "Explore(Mine).Under(FetchModel.SdmWorst)");
        text.ShouldMatch(@"^Violation of I\d after \d+ executions?, \d+ decisions\nMine: ");
        text.ShouldContain(" VIOLATED: ");
        var decisions = Decisions().Match(text).Groups["decisions"].Value;
        var state = State().Match(text).Value;
        (await _lab.Text($"Explore(Mine).Under(FetchModel.SdmWorst).Replay(\"{decisions}\").StateHash")).ShouldBe(state);
        (await _lab.Text("var again = Explore(Mine).Under(FetchModel.SdmWorst).Run();\nagain.Verdict")).ShouldBe("Violation");
    }

    [Fact]
    public async Task A_torn_instruction_is_found_and_marked_in_the_columns()
    {
        var text = await _lab.Text("Explore(Protocols.TextPokeBp.Without(TextPokeBp.PhaseTail)).Under(FetchModel.AmdAsync)");
        text.ShouldStartWith("Violation of I2 after ");
        text.ShouldContain("I2 VIOLATED: ");
        text.ShouldContain("<- torn");
    }

    [Fact]
    public async Task A_protocol_of_the_lab_passes_and_says_what_that_does_not_prove()
    {
        var text = await _lab.Text("#!explore text_poke_bp --model sdm-worst");
        text.ShouldStartWith("Pass: all ");
        text.ShouldContain("; control caught after ");
        text.ShouldContain("What this does not prove:\n- ");
    }

    [Fact]
    public async Task An_ipi_is_laid_to_the_step_that_sent_it()
        => (await _lab.Text("""
            var found = Explore(Protocols.TextPokeBpList.Without("updating code")).Under(FetchModel.SdmWorst).Run().Counterexample;
            string.Join(", ", found.Entries.Where(entry => entry.CausedBy != null).Select(entry => found.Entries[entry.CausedBy.Value].Text).Distinct())
            """)).ShouldBe("run_sync");

    [Fact]
    public async Task An_exploration_runs_when_it_is_shown_and_not_before()
    {
        (await _lab.Text("var asked = 0;\nIEnumerable<KernelStep> Mine(PatchContext kernel, IReadOnlyList<PatchSite> sites)\n{\n    asked++;\n    yield break;\n}\nvar plan = Explore(Mine);\nasked")).ShouldBe("0");
        (await _lab.Text("plan")).ShouldContain("under sdm-worst, by depth-first");
        (await _lab.Text("asked > 0")).ShouldBe("true");
        _lab.Progress.ShouldContain(progress => progress.Text == "executions");
    }

    [Fact]
    public async Task A_protocol_that_throws_is_one_line_that_names_the_line()
    {
        await _lab.Text("IEnumerable<KernelStep> Mine(PatchContext kernel, IReadOnlyList<PatchSite> sites)\n{\n    yield return kernel.RunSync();\n    throw new DivideByZeroException(\"by\\nzero\");\n}");
        (await _lab.Error("\nExplore(Mine)")).ShouldMatch(@"^cell 2(, line 2)?: the protocol Mine throws DivideByZeroException: by zero \(cell 1, line 4\)$");
    }

    [Theory]
    [InlineData("while (true)\n    {\n    }", "has not yielded a step for 2 s (cell 1, line 5)")]
    [InlineData("while (true)\n    {\n        yield return new Delay(1, \"waits\");\n    }", "yields steps for ever: 10,000 of them for one site (cell 1, line 5)")]
    [InlineData("while (true)\n    {\n        yield return KernelStep.Call([]);\n    }", "yields steps for ever: 10,000 of them for one site (cell 1, line 5)")]
    [InlineData("yield return null;", "fails: it yields null where a step is due")]
    public async Task A_protocol_that_does_not_end_is_stopped_by_itself_with_a_line_that_names_the_line(string body, string said)
    {
        await _lab.Text($"IEnumerable<KernelStep> Mine(PatchContext kernel, IReadOnlyList<PatchSite> sites)\n{{ bool never = false;\n    {body}\n    if (never) yield break;\n}}");
        (await _lab.Error("Explore(Mine)")).ShouldEndWith($": the protocol Mine {said}");
        (await _lab.Text("1 + 1")).ShouldBe("2");
    }

    [Fact]
    public async Task A_class_of_a_cell_is_watched_as_well()
    {
        await _lab.Text("""
            class Broken : IPatchProtocol
            {
                public string Name => "broken";
                public string Summary => "";
                public bool MaySkip => false;
                public Invariants PromisesUnder(FetchModel model) => Invariants.NothingTorn;
                public IPatcher Attach(LinuxKernel kernel) =>
                    throw new InvalidOperationException("no kernel of mine");
            }
            var broken = new Broken();
            """);
        (await _lab.Error("Explore(broken)")).ShouldEndWith("the protocol broken throws InvalidOperationException: no kernel of mine (cell 1, line 8)");
        (await _lab.Error("#!explore broken")).ShouldEndWith("the protocol broken throws InvalidOperationException: no kernel of mine (cell 1, line 8)");
    }

    [Fact]
    public async Task The_magic_leaves_its_result_in_a_variable_and_replays()
    {
        await _lab.Text(ByteByByte + "var mine = new IteratorProtocol(\"mine\", Mine);");
        var text = await _lab.Text("#!explore mine --strategy random-walk --executions 5_000 --seed 3 --name found\nfound.Verdict");
        text.ShouldEndWith("\nViolation");
        text.ShouldContain("by random-walk");
        var decisions = Decisions().Match(text).Groups["decisions"].Value;
        (await _lab.Text($"#!explore mine --replay \"{decisions}\"\nexploration.StateHash == found.Counterexample.StateHash")).ShouldEndWith("\ntrue");
    }

    [Fact]
    public async Task The_magic_leaves_a_phase_out_only_where_there_is_one()
    {
        (await _lab.Text("#!explore text_poke_bp_list --without \"adding breakpoints\"")).ShouldContain("text_poke_bp_list without the sync after adding breakpoints");
        (await _lab.Error("#!explore text_poke_bp_list --without \"adding breakpoint\""))
            .ShouldBe("cell 2, line 1: #!explore: --without 'adding breakpoint' is no phase of text_poke_bp_list, which has: adding breakpoints, updating code, finishing update. Did you mean adding breakpoints?");
    }

    [Fact]
    public async Task The_magic_explores_a_litmus_test_with_its_control()
    {
        var file = Path.Combine(LabSession.Root, "data/litmus/which-sync/p2-no-middle-straddles-8.litmus");
        (await _lab.Text($"#!explore --litmus {file} --model amd-async")).ShouldContain("which-sync/p2-no-middle-straddles-8");
        (await _lab.Text($"#!explore --litmus {file} --model intel-practice --name passed\n(passed.Verdict, passed.Control.Verdict)")).ShouldEndWith("(Pass, Violation)");
        (await _lab.Error("#!explore --litmus nowhere.litmus")).ShouldContain("there is no litmus test nowhere.litmus");
    }

    [Theory]
    [InlineData("#!explore text_poke_bb", "#!explore: --protocol no protocol named 'text_poke_bb', and no variable that holds one. Did you mean text_poke_bp?")]
    [InlineData("#!explore --sites 9", "#!explore: --sites 9 is not in 1 to 8")]
    [InlineData("#!explore --cpus 1", "#!explore: --cpus 1 is not in 2 to 8")]
    [InlineData("#!explore --executions 0", "#!explore: --executions 0 is less than 1")]
    [InlineData("#!explore --strategy depth", "#!explore: no strategy named 'depth'.")]
    [InlineData("#!explore --replay \"s1 x2\"", "decision 2, 'x2'")]
    public async Task What_is_wrong_is_one_line(string code, string message)
        => (await _lab.Error("\n" + code)).ShouldStartWith("cell 1, line 2: " + message);

    [Fact]
    public async Task An_interrupt_ends_an_exploration_and_the_session_lives_on()
    {
        using var source = new CancellationTokenSource();
        var output = new OutputCollector(_ => source.Cancel());
        (await _lab.Run("#!explore text_poke_bp_list --sites 4 --cpus 4 --executions 1_000_000_000", output, source.Token)).Failure.ShouldNotBeNull().Kind.ShouldBe(CellFailure.Interrupted);
        using var second = new CancellationTokenSource();
        (await _lab.Run("Explore(Protocols.TextPokeBpList, new PatchShape { Sites = 4, Executors = 3 }).Within(1_000_000_000)", new OutputCollector(_ => second.Cancel()), second.Token))
            .Failure.ShouldNotBeNull().Kind.ShouldBe(CellFailure.Interrupted);
        (await _lab.Text("1 + 1")).ShouldBe("2");
    }

    [GeneratedRegex("""Replay\("(?<decisions>[^"]*)"\)""")]
    private static partial Regex Decisions();

    [GeneratedRegex("(?<=state )[0-9a-f]{16}")]
    private static partial Regex State();
}
