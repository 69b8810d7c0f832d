using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>What a frontend gets from the kernel.</summary>
public sealed class KernelTests(SharedKernel shared) : IClassFixture<SharedKernel>
{
    private KernelProcess Kernel => shared.Client;

    [ZmqFact]
    public void It_says_what_it_is()
    {
        var info = Kernel.Ask("kernel_info_request").Reply;
        info.Type.ShouldBe("kernel_info_reply");
        info["status"].ShouldBe("ok");
        info["protocol_version"].ShouldBe("5.3");
        info.Content["supported_features"]!.AsArray().ShouldBeEmpty();
        info.Content["language_info"]!["name"]!.GetValue<string>().ShouldBe("C#");
        Kernel.Ask("kernel_info_request", channel: Kernel.Control).Status.ShouldBe("ok");
        Kernel.Heartbeat.Send("alive?"u8.ToArray());
        Kernel.Heartbeat.Receive().ShouldHaveSingleItem().ShouldBe("alive?"u8.ToArray());
    }

    [ZmqFact]
    public void A_cell_shows_its_text_its_displays_and_its_value_in_order()
    {
        var answer = Kernel.Execute("Console.Write(\"out\"); Console.Error.Write(\"err\"); var shown = display(1); shown.Update(2); 6 * 7");
        answer.Status.ShouldBe("ok");
        answer.Heard.Select(message => message.Type)
            .ShouldBe(["status", "execute_input", "stream", "stream", "display_data", "update_display_data", "execute_result", "status"]);
        answer.Text.ShouldBe("outerr1242");
        answer.Heard[5].Content["transient"]!.ToJsonString().ShouldBe(answer.Heard[4].Content["transient"]!.ToJsonString());
        answer.Heard[6]["execution_count"].ShouldBe(answer.Reply["execution_count"]);
    }

    [ZmqFact]
    public void Variables_live_on_and_magics_share_them()
    {
        Kernel.Execute("var kept = 20;").Status.ShouldBe("ok");
        Kernel.Execute("kept + 1").Text.ShouldBe("21");
        Kernel.Execute("#!lab protocols").Text.ShouldContain("text_poke_bp_list");
        var wanted = Kernel.Ask("execute_request", new() { ["code"] = "kept++;", ["user_expressions"] = new JsonObject { ["good"] = "kept", ["bad"] = "nope" } }).Reply.Content["user_expressions"]!;
        wanted["good"]!["data"]!["text/plain"]!.GetValue<string>().ShouldBe("21");
        wanted["bad"]!["status"]!.GetValue<string>().ShouldBe("error");
    }

    [ZmqFact]
    public void A_silent_cell_is_neither_counted_nor_shown()
    {
        var before = Kernel.Execute("1").Reply["execution_count"];
        var silent = Kernel.Execute("var quiet = 5; quiet", silent: true);
        silent.Reply["execution_count"].ShouldBe(before);
        silent.Heard.Select(message => message.Type).ShouldBe(["status", "status"]);
        Kernel.Execute("Console.Write(1); display(2); throw new Exception();", silent: true).Heard.Select(message => message.Type).ShouldBe(["status", "status"]);
        Kernel.Execute("quiet").Text.ShouldBe("5");
    }

    [ZmqFact]
    public void An_error_is_one_line_with_its_place_and_the_next_cell_works()
    {
        var failed = Kernel.Execute("var fine = 1;\nthrow new InvalidOperationException(\"broken\");");
        failed.Status.ShouldBe("error");
        failed.Reply["ename"].ShouldBe("InvalidOperationException");
        var error = failed.Heard.Single(message => message.Type == "error");
        error.Content["traceback"]!.AsArray().ShouldHaveSingleItem()!.GetValue<string>().ShouldEndWith(", line 2: InvalidOperationException: broken");
        Kernel.Execute("nope").Reply["ename"].ShouldBe("CompilationError");
        Kernel.Execute("#!patch --engine text_poke_pb").Reply["evalue"].ShouldContain("Did you mean text_poke_bp?");
        Kernel.Execute("2 + 2").Text.ShouldBe("4");
    }

    [ZmqFact]
    public void Cells_that_wait_behind_a_failing_one_are_not_run()
    {
        var running = Send("Console.Write(\"on\"); while (!cancellation.IsCancellationRequested) Thread.Yield(); throw new Exception(\"first\");");
        while (Kernel.HearOf(running).Type != "stream") { }
        var second = Send("var neverSet = 1;");
        // Control is a socket of its own: without this, the interrupt could be there before the second cell.
        Kernel.Settle();
        Kernel.Send("interrupt_request", channel: Kernel.Control);
        Kernel.Shell.Receive().ShouldNotBeNull();
        Kernel.Control.Receive().ShouldNotBeNull();
        Kernel.Hear(second).Status.ShouldBe("aborted");
        Kernel.Execute("neverSet").Reply["ename"].ShouldBe("CompilationError");

        string Send(string code) => Kernel.Send("execute_request", new() { ["code"] = code });
    }

    [ZmqFact]
    public void An_interrupt_stops_a_loop_that_does_not_listen_and_keeps_the_variables()
    {
        Kernel.Execute("var survivor = 7;").Status.ShouldBe("ok");
        var loop = Kernel.Send("execute_request", new() { ["code"] = "Console.Write(\"on\");\nwhile (true) { }" });
        while (Kernel.HearOf(loop).Type != "stream") { }
        var interrupt = Kernel.Send("interrupt_request", channel: Kernel.Control);
        var reply = Kernel.Shell.Receive();
        reply.ShouldNotBeNull();
        System.Text.Encoding.UTF8.GetString(reply[^1]).ShouldContain("\"ename\":\"Interrupted\"");
        Kernel.Control.Receive().ShouldNotBeNull();
        interrupt.ShouldNotBe(loop);
        Kernel.Execute("survivor").Text.ShouldBe("7");
    }

    [ZmqFact]
    public void An_interrupt_while_nothing_runs_leaves_the_next_cell_alone()
    {
        Kernel.Ask("interrupt_request", channel: Kernel.Control).Status.ShouldBe("ok");
        Kernel.Execute("cancellation.IsCancellationRequested").Text.ShouldBe("false");
    }

    [ZmqFact]
    public void It_knows_whether_a_cell_is_whole()
    {
        Status("1 + 1").ShouldBe("complete");
        Status("#!lab\nvar a = 1;").ShouldBe("complete");
        Status("if (true) {").ShouldBe("incomplete");
        Status("var x = 1 1;").ShouldBe("invalid");
        Status("#!nothing").ShouldBe("invalid");

        string Status(string code) => Kernel.Ask("is_complete_request", new() { ["code"] = code }).Status;
    }

    [ZmqFact]
    public void It_completes_magics_their_parameters_and_values()
    {
        Matches("#!la").ShouldBe(["#!lab"]);
        Matches("var s = \"🙂\";\n#!patch --eng").ShouldBe(["--engine"]);
        Matches("#!patch --engine text_poke_bp_li").ShouldBe(["text_poke_bp_list"]);
        var reply = Kernel.Ask("complete_request", new() { ["code"] = "// 🙂\n#!la", ["cursor_pos"] = 9 }).Reply;
        (reply["cursor_start"], reply["cursor_end"]).ShouldBe(("5", "9"));
        Kernel.Ask("inspect_request", new() { ["code"] = "#!patch", ["cursor_pos"] = 4 }).Reply.Content["data"]!["text/plain"]!.GetValue<string>().ShouldContain("--engine");
        Kernel.Ask("inspect_request", new() { ["code"] = "nothing", ["cursor_pos"] = 4 }).Reply["found"].ShouldBe("false");

        string[] Matches(string code)
            => [.. Kernel.Ask("complete_request", new() { ["code"] = code }).Reply.Content["matches"]!.AsArray().Select(match => match!.GetValue<string>())];
    }

    [ZmqFact]
    public void It_tells_the_cells_of_its_session()
    {
        Kernel.Execute("var history = 1;").Status.ShouldBe("ok");
        Kernel.Execute("history + 10").Status.ShouldBe("ok");
        Codes(new() { ["hist_access_type"] = "tail", ["n"] = 2 }).ShouldBe(["var history = 1;", "history + 10"]);
        Codes(new() { ["hist_access_type"] = "search", ["pattern"] = "history*", ["n"] = 1 }).ShouldBe(["history + 10"]);
        var last = Entries(new() { ["hist_access_type"] = "tail", ["n"] = 1, ["raw"] = false })[0]!;
        var line = last[1]!.GetValue<int>();
        Codes(new() { ["hist_access_type"] = "range", ["session"] = 0, ["start"] = line - 1, ["stop"] = line }).ShouldBe(["var history = 1;"]);
        Codes(new() { ["hist_access_type"] = "range", ["session"] = -1, ["start"] = 0, ["stop"] = null }).ShouldBeEmpty();
        Entries(new() { ["hist_access_type"] = "tail", ["n"] = 1, ["output"] = true })[0]!.ToJsonString().ShouldBe($"[1,{line},[\"history \\u002B 10\",null]]");
        Kernel.Ask("history_request", new() { ["hist_access_type"] = "head" }).Reply["evalue"].ShouldContain("none of tail, range and search");

        string[] Codes(JsonObject content)
            => [.. Entries(content).Select(entry => entry![2]!.GetValue<string>())];

        JsonArray Entries(JsonObject content) => Kernel.Ask("history_request", content).Reply.Content["history"]!.AsArray();
    }

    [ZmqFact]
    public void What_it_does_not_know_gets_an_error_of_its_type()
    {
        var reply = Kernel.Ask("exekute_request").Reply;
        reply.Type.ShouldBe("exekute_reply");
        reply["status"].ShouldBe("error");
        reply["evalue"].ShouldContain("Did you mean execute_request?");
        var debug = Kernel.Ask("debug_request", channel: Kernel.Control).Reply;
        (debug.Type, debug["status"], debug["evalue"]).ShouldBe(("debug_reply", "error", "this kernel has no debugger"));
        Kernel.Ask("execute_request", new() { ["code"] = "1" }, Kernel.Control).Reply["evalue"].ShouldContain("on the shell channel");
        Kernel.Ask("comm_info_request").Reply.Content["comms"]!.AsObject().Count.ShouldBe(0);
        var comm = Kernel.Send("comm_open", new() { ["comm_id"] = "c1", ["target_name"] = "nobody" });
        Kernel.HearUntilIdle(comm).Single(message => message.Type == "comm_close")["comm_id"].ShouldBe("c1");
    }

    [ZmqFact]
    public void A_question_mark_behind_a_name_opens_its_explanation()
    {
        var page = Kernel.Execute("#!patch?").Reply.Content["payload"]!.AsArray().ShouldHaveSingleItem()!;
        page["source"]!.GetValue<string>().ShouldBe("page");
        page["data"]!["text/plain"]!.GetValue<string>().ShouldContain("--engine");
        Kernel.Execute("string.IsNullOrEmpty?").Reply.Content["payload"]![0]!["data"]!["text/plain"]!.GetValue<string>().ShouldContain("IsNullOrEmpty(");
        Kernel.Ask("is_complete_request", new() { ["code"] = "#!patch?" }).Status.ShouldBe("complete");
        // What there is no explanation of is a cell like any other, and as C# this is none.
        Kernel.Execute("nobodyKnows?").Status.ShouldBe("error");
        Kernel.Execute("true ? 1 : 2").Reply.Content["payload"]!.AsArray().ShouldBeEmpty();
    }
}
