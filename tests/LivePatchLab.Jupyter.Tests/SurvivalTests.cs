using System.Globalization;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>What would end a process: memory that is used up, an exception on a thread that nobody looks at, a recursion without end. The kernel and its variables live on.</summary>
public sealed class SurvivalTests
{
    /// <summary>One fresh kernel and so many rounds; LIVEPATCH_LONG=1 takes a hundred kernels.</summary>
    private const int Rounds = 2;

    private static readonly int Kernels = Environment.GetEnvironmentVariable("LIVEPATCH_LONG") is { Length: > 0 } ? 100 : 1;

    public static TheoryData<string> Hoards =>
    [
        // Memory that is never touched, which no working set shows.
        "var all = new List<byte[]>(); while (true) all.Add(new byte[100_000_000]);",
        "var all = new List<string>(); while (true) all.Add(new string('x', 1000));",
        "var all = new List<object>(); while (true) all.Add(new object[100]);",
        "var all = new byte[2_000_000_000];",
    ];

    [ZmqTheory]
    [MemberData(nameof(Hoards))]
    public void A_kernel_whose_memory_is_used_up_lives_on(string hoard)
    {
        for (var fresh = 0; fresh < Kernels; fresh++)
        {
            using var kernel = new KernelProcess((MemoryCeiling.Variable, "1GiB"));
            kernel.Execute("var kept = 0; object all = null;").Status.ShouldBe("ok");
            for (var round = 1; round <= Rounds; round++)
            {
                kernel.Execute(hoard).Reply["ename"].ShouldBe("OutOfMemoryException", $"kernel {fresh}, round {round}");
                kernel.Execute("kept++; all = null;").Status.ShouldBe("ok", $"kernel {fresh}, round {round}");
                kernel.Execute("kept").Text.ShouldBe(round.ToString(CultureInfo.InvariantCulture));
            }
        }
    }

    /// <summary>The control: a cell that holds a good part of the ceiling, and gives it back, is not stopped.</summary>
    [ZmqFact]
    public void What_stays_below_the_ceiling_is_left_alone()
    {
        using var kernel = new KernelProcess((MemoryCeiling.Variable, "1GiB"));
        for (var round = 0; round < 3; round++) kernel.Execute("var some = new byte[600_000_000]; some[^1] = 1; var length = some.Length; some = null; length").Text.ShouldBe("600000000");
    }

    [ZmqTheory]
    [InlineData("new Thread(() => throw new InvalidOperationException(\"no\")).Start(); Thread.Sleep(300);")]
    [InlineData("ThreadPool.QueueUserWorkItem(_ => throw new InvalidOperationException(\"no\")); Thread.Sleep(300);")]
    [InlineData("var t = new Timer(_ => throw new InvalidOperationException(\"no\"), null, 10, -1); Thread.Sleep(300);")]
    public void An_exception_on_a_thread_of_the_users_is_one_line(string code)
    {
        using var kernel = new KernelProcess();
        kernel.Execute("var kept = 41;").Status.ShouldBe("ok");
        var answer = kernel.Execute(code);
        answer.Status.ShouldBe("ok");
        answer.Heard.Where(message => message.Type == "stream").ShouldHaveSingleItem()["text"].ShouldBe("a thread of this cell has ended with InvalidOperationException: no (cell 2, line 1)\n");
        kernel.Execute("kept + 1").Text.ShouldBe("42");
    }

    [ZmqFact]
    public void What_a_thread_writes_after_its_cell_is_still_that_cells()
    {
        using var kernel = new KernelProcess();
        var cell = kernel.Send("execute_request", new() { ["code"] = "var go = new ManualResetEventSlim(); _ = Task.Run(() => { go.Wait(); Console.WriteLine(\"late\"); display(7); });" });
        kernel.Hear(cell).Status.ShouldBe("ok");
        kernel.Execute("go.Set();").Status.ShouldBe("ok");
        var text = kernel.HearOf(cell);
        text.Type.ShouldBe("stream");
        text["text"].ShouldBe("late\n");
        kernel.HearOf(cell).Type.ShouldBe("display_data");
    }

    [ZmqFact]
    public void A_recursion_without_end_ends_its_cell()
    {
        using var kernel = new KernelProcess();
        kernel.Execute("var kept = 41;").Status.ShouldBe("ok");
        kernel.Execute("int F(int n) => F(n + 1) + 1;\nF(0)").Reply["ename"].ShouldBe(nameof(InsufficientExecutionStackException));
        kernel.Execute("var thread = new Thread(() => F(0)); thread.Start(); thread.Join();").Text.ShouldContain("a thread of this cell has ended with InsufficientExecutionStackException");
        kernel.Execute("kept + 1").Text.ShouldBe("42");
    }
}
