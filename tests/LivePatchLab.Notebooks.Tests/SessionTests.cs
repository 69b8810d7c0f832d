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
    public async Task What_a_forgotten_thread_writes_after_its_cell_is_not_the_next_ones()
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
        var enter = $"global::{typeof(CellInterruption).FullName}.Enter();";
        var added = InterruptChecks.AddTo(code, NotBound);
        added.Split(check).Length.ShouldBe(6);
        added.Split(enter).Length.ShouldBe(3);
        added.Replace(check, "", StringComparison.Ordinal).Split('\n').Length.ShouldBe(code.Split('\n').Length);
        added.Split('\n')[1].ShouldEndWith("b();");
        added.Split('\n')[8].ShouldEndWith("j();");
        InterruptChecks.AddTo("while (a) {", NotBound).ShouldBe("while (a) {");

        const string bodies = "int F(int n)\n    => n < 2\n    ? n\n    : F(n - 1); // a\nclass C\n{\n    int P => 1;\n    C() => G();\n    int this[int i]\n        => i;\n    int Q\n    {\n        get => 1;\n        set => G();\n    }\n    void G() => throw\n        new Exception();\n}\nF(1)";
        added = InterruptChecks.AddTo(bodies, NotBound);
        added.Split(enter).Length.ShouldBe(8);
        added.Split('\n').Length.ShouldBe(bodies.Split('\n').Length);
        added.Split('\n')[3].ShouldStartWith("    : F(n - 1)");
        static Microsoft.CodeAnalysis.Compilation NotBound(string code) => throw new InvalidOperationException("no lambda of it may call itself");
    }

    [Fact]
    public async Task A_using_at_the_top_of_a_cell_is_disposed_of_at_its_end()
    {
        await _run.Text("class Noted(string name) : IDisposable, IAsyncDisposable { public void Dispose() => Console.Write($\"{name} gone \"); public async ValueTask DisposeAsync() { await Task.Yield(); Console.Write($\"{name} gone later \"); } }");
        (await _run.Text("using var a = new Noted(\"a\");\nusing Noted b = new Noted(\"b\");\nawait using var c = new Noted(\"c\");\nConsole.Write(\"here \");")).ShouldBe("here c gone later b gone a gone ");
        (await _run.Text("using System.Text;\nusing IO = System.IO.Path;\nusing static System.Math;\nusing var a = new System.IO.StringReader(\"x\");\nIO.Combine(\"a\", $\"{Max(1, 2)}{a.ReadLine()}\")")).ShouldBe("a/2x");
        (await _run.Text("{\n    using var d = new Noted(\"d\");\n}\nConsole.Write(\"after \");")).ShouldBe("d gone after ");
        (await _run.Error("using var e = new Noted(\"e\");\nthrow new InvalidOperationException(\"no\");")).ShouldStartWith("cell ");
        CSharpSession.Completeness("using var f = File.OpenRead(\"x\");").ShouldBe(CodeCompleteness.Complete);
        CSharpSession.Completeness("using var f = File.OpenRead(").ShouldBe(CodeCompleteness.Incomplete);
    }

    [Theory]
    [InlineData("var a = \"\"\"\nabc")]
    [InlineData("var a = $\"\"\"\nabc {1}\n")]
    [InlineData("var a = \"\"\"\"\n\"\"\"\n")]
    [InlineData("f(\"\"\"")]
    [InlineData("var a = @\"abc")]
    public void An_open_string_of_several_lines_is_incomplete(string code) => CSharpSession.Completeness(code).ShouldBe(CodeCompleteness.Incomplete);

    /// <summary>A recursion without end, in everything that has a body, ends its cell and not the process.</summary>
    [Theory]
    [InlineData("long F(int n) => F(n + 1) + 1;\nF(0)")]
    [InlineData("long F(int n) { return F(n + 1) + 1; }\nF(0)")]
    [InlineData("Func<int, int> f = null; f = n => f(n + 1) + 1; f(0)")]
    [InlineData("Action<int> f = null; f = n => f(n + 1); f(0)")]
    [InlineData("Func<int, int> f = null; f = delegate (int n) { return f(n + 1) + 1; }; f(0)")]
    [InlineData("class A { public A() => new A(); }\nnew A()")]
    [InlineData("class A { public A() { new A(); } }\nnew A()")]
    [InlineData("class A { public int P => P + 1; }\nnew A().P")]
    [InlineData("class A { public int P { get => P + 1; } }\nnew A().P")]
    [InlineData("class A { public int P { get { return 1; } set => P = value; } }\nnew A().P = 1")]
    [InlineData("class A { public int this[int i] => this[i + 1] + 1; }\nnew A()[0]")]
    [InlineData("class A { public static A operator +(A a, A b) => a + b; }\nnew A() + new A()")]
    [InlineData("class A { public static implicit operator int(A a) => a; }\n(int)new A()")]
    [InlineData("class A { public override string ToString() => $\"{this}\"; }\nnew A()")]
    [InlineData("IEnumerable<int> F(int n) { foreach (var x in F(n + 1)) yield return x; }\nF(0).Count()")]
    public async Task A_recursion_without_end_fails_the_cell_and_the_session_lives_on(string code)
    {
        await _run.Text("var kept = 41;");
        (await _run.Error(code)).ShouldContain("InsufficientExecutionStackException: calls within calls have used up the stack");
        (await _run.Text("kept + 1")).ShouldBe("42");
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
