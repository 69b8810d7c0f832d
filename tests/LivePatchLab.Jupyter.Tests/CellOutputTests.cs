using LivePatchLab.Notebooks;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>What a cell shows while it runs, and what a frontend has of it in the end.</summary>
public sealed class CellOutputTests(SharedKernel shared) : IClassFixture<SharedKernel>
{
    /// <summary>Longer than what a bar waits before it appears.</summary>
    private const string Progress = "for (var i = 1; i <= 3; i++) { Thread.Sleep(300); progress(i, 3, \"runs\"); }\n";

    private KernelProcess Kernel => shared.Client;

    [ZmqFact]
    public void Many_small_writes_are_few_messages_in_order()
    {
        var answer = Kernel.Execute("for (var i = 0; i < 20000; i++) Console.Write(i % 10);\nConsole.Error.Write(\"e\"); Console.Write(\"o\"); display(1); Console.Write(\"end\");");
        answer.Status.ShouldBe("ok");
        var expected = string.Concat(Enumerable.Range(0, 20000).Select(i => i % 10));
        new NotebookView().Hear(answer.Heard).Outputs.ShouldBe([$"stdout:{expected}", "stderr:e", "stdout:o", "display:1", "stdout:end"]);
        // Not one a write: one a turn of 50 ms, however slow this computer is, is far below a tenth of the writes.
        answer.Heard.Count(message => message.Type == "stream").ShouldBeLessThan(2000);
    }

    [ZmqFact]
    public void Text_reaches_the_frontend_while_the_cell_still_runs()
    {
        var cell = Kernel.Send("execute_request", new() { ["code"] = "Console.Write(\"now\"); while (!cancellation.IsCancellationRequested) Thread.Yield();" });
        Received said;
        do said = Kernel.HearOf(cell);
        while (said.Type != "stream");
        said["text"].ShouldBe("now");
        Kernel.Send("interrupt_request", channel: Kernel.Control);
        // On a busy computer it may be the interrupt's next step that ends the loop, and then the reply is an error.
        Kernel.Next(Kernel.Shell).Type.ShouldBe("execute_reply");
        Kernel.Next(Kernel.Control)["status"].ShouldBe("ok");
    }

    [ZmqFact]
    public void Text_beyond_the_limit_of_a_cell_is_left_out_with_one_line()
    {
        var answer = Kernel.Execute("var line = new string('é', 499) + \"\\n\"; for (var i = 0; i < 20000; i++) Console.Write(line); display(\"shown\"); 7");
        answer.Status.ShouldBe("ok");
        var outputs = new NotebookView().Hear(answer.Heard).Outputs;
        outputs.Count.ShouldBe(4);
        System.Text.Encoding.UTF8.GetByteCount(outputs[0]["stdout:".Length..]).ShouldBeInRange((8 << 20) - 1, 8 << 20);
        outputs[1].ShouldBe("stderr:\n[a cell shows at most 8 MiB of text: what it writes from here on is left out]\n");
        outputs.Skip(2).ShouldBe(["display:shown", "result:7"]);
        Kernel.Execute("Console.Write(\"again\")").Text.ShouldBe("again");
    }

    [ZmqFact]
    public void A_later_cell_replaces_what_an_earlier_one_has_shown()
    {
        var view = new NotebookView();
        view.Hear(Kernel.Execute("var kept = display(\"old\"); Console.Write(\"text\");").Heard);
        var later = Kernel.Execute("Console.Write(\"first\"); kept.Update(\"new\"); Console.Write(\"then\");");
        later.Heard.Select(message => message.Type).ShouldBe(["status", "execute_input", "stream", "update_display_data", "stream", "status"]);
        view.Hear(later.Heard).Outputs.ShouldBe(["display:new", "stdout:textfirstthen"]);
    }

    [ZmqFact]
    public void What_a_forgotten_thread_replaces_after_its_cell_is_dropped()
    {
        Kernel.Execute("var go = new ManualResetEventSlim(); var mine = display(\"mine\"); var late = Task.Run(() => { go.Wait(); mine.Update(\"late\"); Console.Write(\"late\"); });").Status.ShouldBe("ok");
        Kernel.Execute("go.Set(); late.Wait();").Heard.Select(message => message.Type).ShouldBe(["status", "execute_input", "status"]);
    }

    [ZmqTheory]
    [InlineData("Console.Write(\"a\"); clear(); display(1);", "display:1")]
    [InlineData("Console.Write(\"a\"); clear(wait: true);", "stdout:a")]
    [InlineData("Console.Write(\"a\"); clear(wait: true); 5", "result:5")]
    [InlineData("display(1); clear(true); Console.Write(\"b\"); Console.Write(\"c\");", "stdout:bc")]
    [InlineData("var gone = display(1); clear(); gone.Update(2);", "")]
    public async Task Clearing_leaves_what_a_run_without_a_frontend_leaves(string code, string expected) => await LeavesTheSame(code, expected);

    [ZmqTheory]
    [InlineData(Progress, "")]
    [InlineData(Progress + "display(\"table\");", "display:table")]
    [InlineData(Progress + "var shown = display(1); shown.Update(2); Console.Write(\"t\");", "display:2|stdout:t")]
    [InlineData("Console.Write(\"a\"); display(\"d\");\n" + Progress + "Console.Write(\"b\");", "stdout:a|display:d|stdout:b")]
    [InlineData("Console.Write(\"a\");\n" + Progress + "Console.Write(\"b\"); display(1);", "stdout:ab|display:1")]
    [InlineData(Progress + "5 + 5", "result:10")]
    [InlineData("display(0);\n" + Progress + "5 + 5", "display:0|result:10")]
    [InlineData(Progress + "throw new Exception(\"x\");", "error:Exception: x")]
    [InlineData("display(0); clear(wait: true);\n" + Progress, "display:0")]
    [InlineData("display(0); clear(wait: true);\n" + Progress + "1", "result:1")]
    [InlineData(Progress + "clear(wait: true);\n" + Progress + "display(1);", "display:1")]
    public async Task Progress_leaves_nothing_behind(string code, string expected)
    {
        (await LeavesTheSame(code, expected)).ShouldContain(message => message.Type.EndsWith("display_data", StringComparison.Ordinal) || code.StartsWith("display(0); clear", StringComparison.Ordinal));
    }

    /// <summary>Runs a cell in the kernel and in a session without one, and compares what is left of it.</summary>
    private async Task<IReadOnlyList<Received>> LeavesTheSame(string code, string expected)
    {
        var heard = Kernel.Execute(code).Heard;
        string.Join('|', new NotebookView().Hear(heard).Outputs).ShouldBe(expected);

        var collector = new OutputCollector();
        var result = await new NotebookSession(LabMagics.Table(), new CSharpSession(CSharpSessionOptions.Lab)).RunCellAsync(code, 1, collector, CancellationToken.None);
        if (result.Value is not null) collector.Add(new ResultOutput(1, result.Value));
        if (result.Failure is not null) collector.Add(result.Failure.ToOutput());
        string.Join('|', collector.Outputs.Select(output => output switch
        {
            StreamOutput stream => $"{stream.Name}:{stream.Text}",
            DisplayOutput display => $"display:{display.Data.Text(MimeBundle.Plain)}",
            ResultOutput last => $"result:{last.Data.Text(MimeBundle.Plain)}",
            _ => $"error:{((ErrorOutput)output).Value}",
        })).ShouldBe(expected);
        return heard;
    }
}
