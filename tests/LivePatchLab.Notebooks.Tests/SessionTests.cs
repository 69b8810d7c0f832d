namespace LivePatchLab.Notebooks.Tests;

[Collection("Sessions")]
public sealed class SessionTests
{
    private readonly TestRun _run = new();

    [Fact]
    public async Task Variables_types_and_usings_live_on_in_later_cells()
    {
        (await _run.Text("using System.Text;\nvar x = 6;\nrecord Site(int Address);")).ShouldBe("");
        (await _run.Text("var s = new StringBuilder(\"a\"); x++;")).ShouldBe("");
        (await _run.Text("(x * 6).ToString() + s + new Site(1)")).ShouldBe("42aSite { Address = 1 }");
    }

    [Fact]
    public async Task The_last_expression_is_the_value_unless_a_semicolon_ends_it()
    {
        (await _run.Text("1 + 1")).ShouldBe("2");
        (await _run.Text("Math.Abs(-2);")).ShouldBe("");
        (await _run.Text("(string)null")).ShouldBe("");
        (await _run.Text("await Task.FromResult(3)")).ShouldBe("3");
        (await _run.Text("// only a remark")).ShouldBe("");
    }

    [Fact]
    public async Task Displays_console_and_value_keep_their_order()
        => (await _run.Text("Console.Write(\"a\");\nConsole.WriteLine(\"b\");\ndisplay(1);\nConsole.Error.WriteLine(\"e\");\nvar h = display(2);\nh.Update(3);\n\"v\""))
            .ShouldBe("ab\n|1|e\n|3|v");

    [Fact]
    public async Task Output_of_threads_and_tasks_of_a_cell_belongs_to_the_cell()
        => (await _run.Text("await Task.Run(() => Console.Write(\"task\"));\nvar t = new Thread(() => Console.Write(\" thread\")); t.Start(); t.Join();"))
            .ShouldBe("task thread");

    [Fact]
    public async Task Magics_and_CSharp_mix_in_order_and_share_variables()
    {
        (await _run.Text("Console.Write(\"first\");\n#!set --name y --value 20\ndisplay(y + 1);\ny\n#!patch --engine stop_machine --json"))
            .ShouldBe("first|21|20|stop_machine on 7 sites, json");
        (await _run.Text("y = 5;\n#!set --name z\ny + z")).ShouldBe("6");
        _run.Session.CSharp.TryGet("y", out var found).ShouldBeTrue();
        found.ShouldBe(5);
        _run.Session.CSharp.TryGet("nowhere", out _).ShouldBeFalse();
        _run.Session.CSharp.VariableNames.ShouldBe(["y", "z"]);
    }

    [Fact]
    public async Task A_magic_may_set_a_variable_of_any_type()
    {
        var session = _run.Session.CSharp;
        session.Set("list", new List<(int, string?[])> { (1, ["x"]) }, typeof(List<(int, string?[])>));
        session.Set("sequence", Numbers(), Numbers().GetType());
        session.Set("nested", new Outer<int>.Inner { Value = 8 }, typeof(Outer<int>.Inner));
        session.Set("hidden", new Hidden(), typeof(Hidden));
        session.Set("cube", new int[1][,] { new int[2, 2] }, typeof(int[][,]));
        (await _run.Text("$\"{list[0].Item2[0]} {sequence.Sum()} {nested.Value} {hidden.Text} {cube[0].Length}\"")).ShouldBe("x 3 8 base 4");
        Should.Throw<UserErrorException>(() => session.Set("class", 1, typeof(int)));
    }

    [Fact]
    public async Task A_type_declared_in_a_cell_can_be_set_by_a_magic()
    {
        await _run.Text("public record Mine(int A);\nvar first = new Mine(4);");
        _run.Session.CSharp.TryGet("first", out var mine).ShouldBeTrue();
        _run.Session.CSharp.Set("second", mine, mine!.GetType());
        (await _run.Text("second.A")).ShouldBe("4");
    }

    [Fact]
    public async Task Every_compile_error_is_one_line_with_the_line_of_the_cell()
    {
        var error = await _run.Error("var a = 1;\n\n#!set --name b\nvar c = a + nope;\nint d = \"text\";");
        error.Split('\n').ShouldBe([
            "cell 1, line 4: The name 'nope' does not exist in the current context (CS0103)",
            "cell 1, line 5: Cannot implicitly convert type 'string' to 'int' (CS0029)",
        ]);
    }

    [Fact]
    public async Task An_exception_is_type_message_and_line_without_a_stack()
    {
        await _run.Text("int Divide(int by)\n{\n    return 1 / by;\n}");
        (await _run.Error("\nthrow new InvalidOperationException(\"it\\nbroke\");")).ShouldBe("cell 2, line 2: InvalidOperationException: it broke");
        (await _run.Error("var kept = 3;\nDivide(0)")).ShouldBe("cell 3, line 2: DivideByZeroException: Attempted to divide by zero. (thrown at cell 1, line 3)");
        (await _run.Text("kept")).ShouldBe("3");
        (await _run.Error("await Task.Yield();\nawait Task.Run(() => throw new ArgumentException(\"deep\"));")).ShouldBe("cell 5, line 2: ArgumentException: deep");
        (await _run.Error("throw new LivePatchLab.Notebooks.UserErrorException(\"mine\");")).ShouldBe("cell 6, line 1: mine");
    }

    [Fact]
    public async Task A_wrong_magic_stops_the_cell_before_anything_of_it_runs()
    {
        var (result, outputs) = await _run.Cell("Console.Write(\"ran\");\n#!pach");
        result.Failure.ShouldNotBeNull().ToString().ShouldBe("cell 1, line 2: no magic named '#!pach'. Did you mean #!patch?  (#!lab lists all 6)");
        outputs.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_failing_magic_is_one_line_and_what_follows_does_not_run()
    {
        var (result, outputs) = await _run.Cell("Console.Write(\"before\");\n#!fail\nConsole.Write(\"after\");");
        result.Failure.ShouldNotBeNull().ToString().ShouldBe("cell 1, line 2: there is no machine");
        outputs.Select(TestRun.Plain).ShouldBe(["before"]);
        (await _run.Error("#!fail --bug")).ShouldBe("cell 2, line 1: InvalidOperationException: a bug of ours");
    }

    [Fact]
    public async Task A_magic_updates_what_it_displayed_and_reports_progress()
    {
        (await _run.Text("#!count")).ShouldBe("3");
        _run.Progress.Select(progress => progress.Done).ShouldBe([1, 2, 3]);
    }

    [Theory]
    [InlineData("while (true) { }")]
    [InlineData("while (true) { try { Console.Write(\"\"); } catch { } }")]
    [InlineData("while (!cancellation.IsCancellationRequested) { }\ncancellation.ThrowIfCancellationRequested();")]
    [InlineData("await Task.Delay(-1, cancellation);")]
    [InlineData("#!wait")]
    public async Task An_interrupt_stops_a_cell_and_leaves_the_session_usable(string code)
    {
        await _run.Text("var before = 1;");
        using var source = new CancellationTokenSource();
        var cell = _run.Cell(code, source.Token);
        await source.CancelAsync();
        (await cell).Result.Failure.ShouldNotBeNull().Kind.ShouldBe(CellFailure.Interrupted);
        (await _run.Text("before + 1")).ShouldBe("2");
    }

    [Fact]
    public async Task What_a_forgotten_thread_writes_after_its_cell_is_dropped()
    {
        var (_, outputs) = await _run.Cell("var go = new ManualResetEventSlim();\nvar late = Task.Run(() => { go.Wait(); Console.Write(\"late\"); });");
        (await _run.Text("go.Set(); late.Wait();")).ShouldBe("");
        outputs.ShouldBeEmpty();
    }

    [Fact]
    public void A_piece_of_code_is_complete_or_not()
    {
        CSharpSession.IsComplete("for (;;) {").ShouldBeFalse();
        CSharpSession.IsComplete("var x = 1;").ShouldBeTrue();
    }

    [Fact]
    public void The_checks_for_interrupts_move_no_line()
    {
        const string code = "while (a)\n    b();\nfor (;;)\n{\n}\ndo c(); while (d); // e\nforeach (var f in g) foreach (var (h, i) in f)\n{\n    j();\n}\nvoid K() { l(); }\nm(() => { n(); });";
        var check = $"global::{typeof(CellInterruption).FullName}.Check();";
        var added = InterruptChecks.AddTo(code);
        added.Split(check).Length.ShouldBe(8);
        added.Replace(check, "", StringComparison.Ordinal).Split('\n').Length.ShouldBe(code.Split('\n').Length);
        added.Split('\n')[1].ShouldEndWith("b();");
        added.Split('\n')[8].ShouldEndWith("j();");
        InterruptChecks.AddTo("while (a) {").ShouldBe("while (a) {");
    }

    private static IEnumerable<int> Numbers()
    {
        yield return 1;
        yield return 2;
    }

    public sealed class Outer<T>
    {
        public sealed class Inner
        {
            public T? Value { get; set; }
        }
    }

    public class Visible
    {
        public string Text => "base";
    }

    private sealed class Hidden : Visible;
}
