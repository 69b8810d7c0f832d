using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>Cells that ask their reader.</summary>
public sealed class StdinTests(SharedKernel shared) : IClassFixture<SharedKernel>
{
    private KernelProcess Kernel => shared.Client;

    [ZmqFact]
    public void A_cell_asks_and_goes_on_with_the_answer()
    {
        var cell = Run("Console.Write(\"first \"); var name = input(\"Name? \"); var word = password(\"Word? \"); name + word");
        var first = Question(cell);
        (first["prompt"], first["password"]).ShouldBe(("Name? ", "false"));
        // What stood before the question is on the screen by now.
        string before;
        do before = Kernel.HearOf(cell) is { Type: "stream" } text ? text["text"] : "";
        while (before.Length == 0);
        before.ShouldBe("first ");
        Reply("Ada ");
        var second = Question(cell);
        (second["prompt"], second["password"]).ShouldBe(("Word? ", "true"));
        Reply("secret", second);
        Kernel.Next(Kernel.Shell)["status"].ShouldBe("ok");
        Kernel.Execute("name + word").Text.ShouldBe("Ada secret");
    }

    [ZmqFact]
    public void The_console_reads_what_the_reader_types()
    {
        var cell = Run("var line = Console.ReadLine(); var letter = (char)Console.Read(); var rest = Console.In.ReadLine();");
        foreach (var answer in (string[])["whole line", "xyz"])
        {
            Question(cell)["prompt"].ShouldBe("");
            Reply(answer);
        }

        Kernel.Next(Kernel.Shell)["status"].ShouldBe("ok");
        Kernel.Execute("$\"{line}|{letter}|{rest}\"").Text.ShouldBe("whole line|x|yz");
    }

    [ZmqFact]
    public void A_frontend_that_takes_no_input_is_told_in_one_line()
    {
        foreach (var code in (string[])["input(\"Name?\")", "Console.ReadLine()"])
        {
            var reply = Kernel.Execute(code).Reply;
            reply["ename"].ShouldBe("UserError");
            reply.Content["traceback"]!.AsArray().ShouldHaveSingleItem()!.GetValue<string>().ShouldContain(": nobody can answer here");
        }
    }

    [ZmqFact]
    public void An_interrupt_ends_the_waiting()
    {
        var cell = Run("var never = input();");
        Question(cell);
        Kernel.Send("interrupt_request", channel: Kernel.Control);
        Kernel.Next(Kernel.Shell)["ename"].ShouldBe("Interrupted");
        Kernel.Next(Kernel.Control)["status"].ShouldBe("ok");
        // An answer that comes too late answers nothing, now and to the next question.
        Reply("late");
        Kernel.Settle();
        Run("input()");
        Reply("in time", Question(null));
        Kernel.Next(Kernel.Shell)["status"].ShouldBe("ok");
    }

    [ZmqFact]
    public void Stale_foreign_and_broken_replies_are_ignored()
    {
        Reply("before anybody asked");
        Kernel.Settle();
        var cell = Run("var heard = input();");
        var question = Question(cell);
        using var stranger = Kernel.Connect(Zmq.Dealer, ConnectionFolder.StdinPort, "stranger");
        Kernel.Send("input_reply", new() { ["value"] = "from a stranger" }, stranger);
        Kernel.Settle();
        Kernel.SendRaw("input_reply", """{"value":7}""", Kernel.Stdin);
        Kernel.SendRaw("input_reply", """{"value":"\ud800"}""", Kernel.Stdin);
        Kernel.SendRaw("input_reply", "[]", Kernel.Stdin);
        Kernel.SendRaw("kernel_info_request", """{"value":"no reply"}""", Kernel.Stdin);
        Kernel.Stdin.Send(Kernel.Signed("""{"msg_id":"other","msg_type":"input_reply"}""", """{"msg_id":"another question"}""", "{}", """{"value":"to another question"}"""));
        Reply("right", question);
        Kernel.Next(Kernel.Shell)["status"].ShouldBe("ok");
        Kernel.Execute("heard").Text.ShouldBe("right");
    }

    private string Run(string code) => Kernel.Send("execute_request", new() { ["code"] = code, ["allow_stdin"] = true });

    private Received Question(string? cell)
    {
        var asked = Kernel.Next(Kernel.Stdin);
        asked.Type.ShouldBe("input_request");
        if (cell is not null) asked.ParentId.ShouldBe(cell);
        return asked;
    }

    /// <summary>Without a parent, as jupyter_client and the classic notebook answer, or with that of the question, as JupyterLab does.</summary>
    private void Reply(string value, Received? question = null)
    {
        var parent = question?.Header.ToJsonString() ?? "{}";
        var header = new JsonObject { ["msg_id"] = $"answer-{Guid.NewGuid()}", ["msg_type"] = "input_reply" };
        Kernel.Stdin.Send(Kernel.Signed(header.ToJsonString(), parent, "{}", new JsonObject { ["value"] = value }.ToJsonString()));
    }
}
