namespace LivePatchLab.Jupyter.Tests;

/// <summary>Messages of somebody who does not know the key, or whose program is broken, change nothing and end nothing.</summary>
public sealed class HostileFrameTests(SharedKernel shared) : IClassFixture<SharedKernel>
{
    private KernelProcess Kernel => shared.Client;

    [ZmqFact]
    public void A_wrong_signature_is_ignored()
    {
        var frames = Kernel.Frames("execute_request", new() { ["code"] = "var stolen = 1;" }, out _);
        frames[1][0] ^= 1;
        Kernel.Shell.Send(frames);
        frames[1] = [];
        Kernel.Shell.Send(frames);
        Kernel.Execute("stolen").Reply["ename"].ShouldBe("CompilationError");
    }

    [ZmqFact]
    public void A_message_that_comes_again_is_ignored()
    {
        Kernel.Execute("var times = 0;").Status.ShouldBe("ok");
        var frames = Kernel.Frames("execute_request", new() { ["code"] = "times++;" }, out var id);
        Kernel.Shell.Send(frames);
        Kernel.Shell.Send(frames);
        Kernel.Hear(id).Status.ShouldBe("ok");
        Kernel.Execute("times").Text.ShouldBe("1");
    }

    [ZmqFact]
    public void Frames_that_are_missing_are_survived()
    {
        var whole = Kernel.Frames("kernel_info_request", [], out _);
        for (var count = 1; count < whole.Count; count++)
        {
            Kernel.Shell.Send(whole[..count]);
            Kernel.Control.Send(whole[^count..]);
        }

        IsAlive();
    }

    [ZmqFact]
    public void A_header_that_cannot_be_read_is_dropped()
    {
        foreach (var header in (string[])["{", "[]", "{}", """{"msg_type":7}""", """{"msg_type":"\ud800"}""", """{"\ud800":1,"msg_type":"kernel_info_request"}""", new string('[', 10_000)])
            Kernel.Shell.Send(Kernel.Signed(header, "{}", "{}", "{}"));
        Kernel.Shell.Send(Kernel.SignedBytes([.. "{\"msg_type\":\""u8, 0xff, .. "\"}"u8], "{}"u8.ToArray(), "{}"u8.ToArray(), "{}"u8.ToArray()));
        IsAlive();
    }

    /// <summary>Whoever has sent a header that can be read waits for an answer, whatever is wrong with the rest.</summary>
    [ZmqTheory]
    [InlineData("7")]
    [InlineData("[1]")]
    [InlineData("\"text\"")]
    [InlineData("{\"code\":")]
    [InlineData("")]
    [InlineData("{\"\\ud800\":1}")]
    public void A_content_that_is_no_object_gets_an_error_of_the_requests_own_type(string content)
    {
        foreach (var type in RequestShapes.Types)
        {
            foreach (var channel in (ZmqSocket[])[Kernel.Shell, Kernel.Control])
                IsRefused(type, Kernel.SendRaw(type, content, channel), channel);
        }

        Kernel.SendRaw("execute_request", new string('[', 100_000), Kernel.Shell).ShouldNotBeNull();
        Kernel.Next(Kernel.Shell)["ename"].ShouldBe("BadMessage");
        IsAlive();
    }

    [ZmqFact]
    public void A_member_of_the_wrong_kind_gets_an_error_of_the_requests_own_type()
    {
        foreach (var (type, member, wrong) in RequestShapes.Wrong)
        {
            var reply = IsRefused(type, Kernel.SendRaw(type, RequestShapes.With(type, member, wrong), Kernel.Shell), Kernel.Shell);
            reply["evalue"].ShouldContain(member);
        }

        IsAlive();
    }

    [ZmqFact]
    public void A_shutdown_that_cannot_be_read_ends_nothing()
    {
        IsRefused("shutdown_request", Kernel.SendRaw("shutdown_request", """{"restart":"yes"}""", Kernel.Control), Kernel.Control);
        IsAlive();
    }

    [ZmqFact]
    public void A_message_just_below_the_limit_is_answered_and_one_above_it_costs_its_sender_the_connection()
    {
        const int Limit = 64 << 20;
        var below = Kernel.SendRaw("kernel_info_request", $$"""{"x":"{{new string('x', Limit - 16)}}"}""", Kernel.Shell);
        Kernel.Hear(below).Status.ShouldBe("ok");
        using var other = Kernel.Connect(Zmq.Dealer, ConnectionFolder.ShellPort, "other");
        _ = Kernel.SendRaw("kernel_info_request", $$"""{"x":"{{new string('x', Limit)}}"}""", other);
        IsAlive();
    }

    private Received IsRefused(string type, string id, ZmqSocket channel)
    {
        var answer = Kernel.Hear(id, channel);
        (answer.Reply.Type, answer.Status).ShouldBe((type.Replace("_request", "_reply", StringComparison.Ordinal), "error"));
        answer.Reply["ename"].ShouldBe("BadMessage");
        answer.Heard.Select(message => message.Type).ShouldBe(["status", "status"]);
        return answer.Reply;
    }

    private void IsAlive()
    {
        Kernel.Ask("kernel_info_request").Status.ShouldBe("ok");
        Kernel.Ask("kernel_info_request", channel: Kernel.Control).Status.ShouldBe("ok");
        Kernel.Execute("1 + 2").Text.ShouldBe("3");
    }
}
