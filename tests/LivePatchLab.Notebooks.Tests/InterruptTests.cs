namespace LivePatchLab.Notebooks.Tests;

/// <summary>Cells that are interrupted once they run, and what is left of the session.</summary>
[Collection("Sessions")]
public sealed class InterruptTests
{
    private readonly LabSession _lab = new();

    [Theory]
    [InlineData("while (true) { }")]
    [InlineData("while (true) { try { Console.Write(\"\"); } catch { } }")]
    [InlineData("while (true) { try { throw new Exception(); } catch { } }")]
    [InlineData("while (true) { try { Thread.Sleep(-1); } catch { } }")]
    [InlineData("try { } finally { while (true) { } }")]
    [InlineData("while (true)\n    lock (typeof(string)) { }")]
    [InlineData("again: goto again;")]
    [InlineData("try { } finally { again: if (cancellation.CanBeCanceled) goto again; }")]
    [InlineData("Thread.Sleep(-1);")]
    [InlineData("var gate = new object(); lock (gate) Monitor.Wait(gate);")]
    [InlineData("new ManualResetEvent(false).WaitOne();")]
    [InlineData("new TaskCompletionSource().Task.Wait();")]
    [InlineData("await Task.Delay(-1);")]
    [InlineData("await new TaskCompletionSource().Task;")]
    [InlineData("await Task.Yield(); while (true) { }")]
    [InlineData("while (true) await Task.Yield();")]
    [InlineData("while (true) { try { await Task.Delay(1); } catch { } }")]
    [InlineData("async Task Never() { await Task.Yield(); while (true) { } }\nNever().Wait();")]
    [InlineData("class Endless { public override string ToString() { while (true) { } } }\nnew Endless()")]
    [InlineData("await Task.Delay(-1, cancellation);")]
    [InlineData("long F(int n) => n < 2 ? n : F(n - 1) + F(n - 2);\nF(80)")]
    [InlineData("Func<int, long> f = null; f = n => n < 2 ? n : f(n - 1) + f(n - 2);\nf(80)")]
    [InlineData("Action<int> f = null; f = n => g(n); void g(int n) => Enumerable.Range(0, 2).ToList().ForEach(_ => f(n + 1)); try { f(0); } catch (InsufficientExecutionStackException) { while (true) { } }")]
    [InlineData("class A { public static long operator ^(A a, int n) => n < 2 ? n : (a ^ (n - 1)) + (a ^ (n - 2)); }\nnew A() ^ 80")]
    [InlineData("class A { public long this[int n] => n < 2 ? n : this[n - 1] + this[n - 2]; }\nnew A()[80]")]
    [InlineData("class A { public A(int n) { if (n < 2) return; new A(n - 1); new A(n - 2); } }\nnew A(80)")]
    [InlineData("IEnumerable<int> F(int n) { if (n < 2) yield return n; else { foreach (var x in F(n - 1)) yield return x; foreach (var x in F(n - 2)) yield return x; } }\nF(80).Count()")]
    [InlineData("while (!cancellation.IsCancellationRequested) { }\ncancellation.ThrowIfCancellationRequested();")]
    [InlineData("var m = new LabMachine(new() { Workload = Workload.Running });\nm.RunGuests(long.MaxValue / 2);")]
    [InlineData("Sweep.Run(new SweepSpec { Engines = [\"text_poke_bp\"], Sites = [35_000], Cpus = [64], Seeds = [.. Enumerable.Range(1, 10_000).Select(seed => (ulong)seed)] });")]
    [InlineData("await Task.Run(() => new LabMachine(new() { Workload = Workload.Running }).RunGuests(long.MaxValue / 2));")]
    public async Task A_cell_stops_and_what_it_assigned_is_kept(string code)
    {
        await _lab.Text("var kept = 1;");
        (await Interrupted("kept = 2;\n" + code)).ToString().ShouldBe("cell 2: interrupted");
        (await _lab.Text("kept++;\nConsole.Write(\"still \");\nkept")).ShouldBe("still \n3");
    }

    [Fact]
    public async Task A_machine_that_was_stopped_in_the_middle_of_a_patch_says_so()
    {
        await _lab.Text("var machine = new LabMachine(new() { Cpus = 64, Workload = Workload.Running, Seed = new(3) });");
        // Told from another thread, for the interrupt must not come before the patch has begun.
        (await InterruptedAt("begun", """
            _ = Task.Run(() => { while (machine.Kernel.TextMutex.Owner is null) Thread.Yield(); Console.Write("begun"); });
            Patch.All().With("text_poke_bp").Run(machine);
            """)).ToString().ShouldBe("cell 2: interrupted");
        (await _lab.Error("Patch.All().With(\"text_poke_bp\").Run(machine)"))
            .ShouldBe("cell 3, line 1: this machine has stopped in the middle of an earlier patch, and its text_mutex is held; make a new machine");
        (await _lab.Text("machine.Machine.Cpus.Count")).ShouldBe("64");
    }

    [Fact]
    public async Task A_long_call_into_a_library_cannot_be_stopped_and_the_user_is_told()
    {
        await _lab.Text("var stop = false;");
        (await Interrupted("Enumerable.Repeat(0, int.MaxValue).SelectMany(_ => Enumerable.Repeat(0, int.MaxValue)).TakeWhile(_ => !stop).Count()"))
            .ToString().ShouldBe("cell 2: interrupted, but a call in it does not stop and still computes in the background; all variables live on; restart to be rid of it");
        (await _lab.Text("stop = true;\n7")).ShouldBe("7");
    }

    [Fact]
    public async Task What_follows_an_await_that_was_interrupted_never_runs()
    {
        await _lab.Text("var gate = new TaskCompletionSource();\nvar ran = false;");
        (await Interrupted("await gate.Task;\nran = true;")).Kind.ShouldBe(CellFailure.Interrupted);
        (await _lab.Text("gate.SetResult();\nawait Task.Delay(20);\nran")).ShouldBe("false");
    }

    [Fact]
    public async Task A_cell_may_wait_for_its_own_tasks_and_leave_some_to_the_next_cell()
    {
        (await _lab.Text("async Task<int> Depth(int n) { await Task.Yield(); return n == 0 ? 0 : 1 + Depth(n - 1).Result; }\nDepth(24).Result")).ShouldBe("24");
        await _lab.Text("var gate = new TaskCompletionSource();\nasync Task<int> Later() { await gate.Task; return 5; }\nvar later = Later();");
        (await _lab.Text("gate.SetResult();\nawait later")).ShouldBe("5");
    }

    [Fact]
    public async Task An_exception_of_an_async_void_method_is_the_cells()
        => (await _lab.Error("async void Stray() { await Task.Yield(); throw new InvalidOperationException(\"stray\"); }\nStray();\nawait new TaskCompletionSource().Task;"))
            .ShouldBe("cell 1, line 1: InvalidOperationException: stray");

    private Task<CellFailure> Interrupted(string code) => InterruptedAt("on", "Console.Write(\"on\");" + code);

    private async Task<CellFailure> InterruptedAt(string text, string code)
    {
        using var interrupt = new CancellationTokenSource();
        var result = await _lab.Run(code, new InterruptAtText(interrupt, text), interrupt.Token);
        return result.Failure.ShouldNotBeNull();
    }

    /// <summary>The user, who interrupts a cell as soon as it has written something.</summary>
    private sealed class InterruptAtText(CancellationTokenSource interrupt, string awaited) : ICellOutput
    {
        public void Write(string stream, string text)
        {
            if (text == awaited) interrupt.CancelAfter(1);
        }

        public Action<MimeBundle> Display(MimeBundle bundle) => _ => { };

        public void Report(Progress progress) { }
    }
}
