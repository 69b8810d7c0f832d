namespace LivePatchLab.Jupyter.Tests;

/// <summary>Messages of somebody who does not know the key, or whose program is broken, change nothing and end nothing.</summary>
public sealed class HostileFrameTests(SharedKernel shared) : IClassFixture<SharedKernel>
{
    private JupyterClient Kernel => shared.Client;

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
    public void Signed_nonsense_is_survived()
    {
        const string Header = """{"msg_id":"x","msg_type":"execute_request","session":"s"}""";
        string[][] nonsense =
        [
            ["{", "{}", "{}", "{}"], ["[]", "{}", "{}", "{}"], ["{}", "{}", "{}", "{}"], [Header, "{}", "{}", "7"], [Header, "{}", "{}", "{\"code\":"],
            ["""{"msg_type":7}""", "{}", "{}", "{}"], ["""{"msg_type":"\ud800"}""", "{}", "{}", "{}"], [Header, "{}", "{}", new string('[', 10_000)],
        ];
        foreach (var parts in nonsense) Kernel.Shell.Send(Kernel.Signed(parts));
        IsAlive();
    }

    [ZmqFact]
    public void A_content_that_cannot_be_read_is_answered_with_an_error()
    {
        Kernel.Shell.Send(Kernel.Signed("""{"msg_id":"half","msg_type":"execute_request","session":"s"}""", "{}", "{}", """{"code":"\ud800"}"""));
        Kernel.Hear("half").Status.ShouldBe("error");
        Kernel.Ask("execute_request", new() { ["code"] = 7, ["silent"] = "yes", ["user_expressions"] = 3 }).Status.ShouldBe("ok");
        IsAlive();
    }

    private void IsAlive()
    {
        Kernel.Ask("kernel_info_request").Status.ShouldBe("ok");
        Kernel.Ask("kernel_info_request", channel: Kernel.Control).Status.ShouldBe("ok");
        Kernel.Execute("1 + 2").Text.ShouldBe("3");
    }
}
