namespace LivePatchLab.Jupyter.Tests;

/// <summary>Signals to the kernel's process, and its memory's ceiling.</summary>
public sealed class SignalTests
{
    [ZmqFact]
    public void SIGINT_interrupts_the_running_cell_and_never_ends_the_kernel()
    {
        using var kernel = new KernelProcess();
        kernel.Execute("var kept = 3;").Status.ShouldBe("ok");
        for (var round = 0; round < 2; round++)
        {
            var loop = kernel.Send("execute_request", new() { ["code"] = "Console.Write(\"on\");\nwhile (true) { }" });
            while (kernel.HearOf(loop).Type != "stream") { }
            kernel.Signal("INT");
            kernel.Hear(loop, null, heardBusy: true).Reply["ename"].ShouldBe("Interrupted");
            // With nothing to interrupt, it changes nothing.
            kernel.Signal("INT");
            kernel.Signal("INT");
            // A signal that is late interrupts the next cell; the round goes on when none is any more.
            for (var settled = 0; settled < 3;) settled = kernel.Execute("1").Status == "ok" ? settled + 1 : 0;
        }

        kernel.Execute("kept").Text.ShouldBe("3");
    }

    [ZmqFact]
    public void SIGTERM_ends_the_kernel_in_order()
    {
        using var kernel = new KernelProcess();
        kernel.Execute("1").Status.ShouldBe("ok");
        kernel.Signal("TERM");
        kernel.Process.WaitForExit();
        kernel.Process.ExitCode.ShouldBe(0);
    }

    [ZmqFact]
    public void A_cell_that_takes_too_much_memory_is_stopped_and_the_kernel_lives_on()
    {
        using var kernel = new KernelProcess((MemoryCeiling.Variable, "700MiB"));
        kernel.Execute("var kept = 5; var hoard = new List<byte[]>();").Status.ShouldBe("ok");
        for (var round = 0; round < 2; round++)
        {
            var stopped = kernel.Execute("while (true) { var block = new byte[1 << 20]; Array.Fill(block, (byte)1); hoard.Add(block); if (hoard.Count > 100) Thread.Sleep(1); }").Reply;
            stopped["ename"].ShouldBe("OutOfMemoryException");
            var line = stopped.Content["traceback"]!.AsArray().ShouldHaveSingleItem()!.GetValue<string>();
            line.ShouldMatch(@"^cell \d+: stopped for want of memory: the kernel holds \d+ MiB, and its ceiling is 700 MiB \(LIVEPATCH_MEMORY_MAX sets another\)\. The variables .* set the biggest to null, or restart");
            // Still above the ceiling, it runs the very cell that the line asks for.
            kernel.Execute("kept += hoard.Count > 100 ? 1 : 0; hoard = null;").Status.ShouldBe("ok");
            kernel.Execute("hoard = new(); kept").Text.ShouldBe($"{6 + round}");
        }
    }

    [ZmqFact]
    public void Garbage_stops_no_cell()
    {
        using var kernel = new KernelProcess((MemoryCeiling.Variable, "700MiB"));
        kernel.Execute("var sum = 0L; for (var i = 0; i < 3000; i++) { var block = new byte[1 << 20]; Array.Fill(block, (byte)1); sum += block[i]; } sum").Text.ShouldBe("3000");
    }

    [ZmqFact]
    public void The_end_of_memory_that_the_runtime_meets_is_told_in_the_same_way()
    {
        using var kernel = new KernelProcess();
        var reply = kernel.Execute("var x = 1;\nvar big = new long[int.MaxValue];").Reply;
        reply["ename"].ShouldBe("OutOfMemoryException");
        reply["evalue"].ShouldContain("the kernel holds");
        kernel.Execute("1 + 1").Text.ShouldBe("2");
    }

    [Theory]
    [InlineData("2GiB", 2L << 30)]
    [InlineData("700MiB", 700L << 20)]
    [InlineData("64KiB", 64L << 10)]
    public void A_ceiling_is_a_number_with_its_unit(string text, long bytes) => MemoryCeiling.From(text).Bytes.ShouldBe(bytes);

    [Theory]
    [InlineData("2")]
    [InlineData("2GB")]
    [InlineData("-2GiB")]
    [InlineData("0MiB")]
    [InlineData("9999999999999GiB")]
    [InlineData("lots")]
    public void Anything_else_is_refused_in_one_line(string text)
        => Should.Throw<Linux.BadInputException>(() => MemoryCeiling.From(text)).Message.ShouldBe($"LIVEPATCH_MEMORY_MAX={text}: a ceiling is a whole number with its unit, as 512MiB or 2GiB");

    [Fact]
    public void Without_one_it_is_three_quarters_of_the_memory()
        => MemoryCeiling.From(null).Bytes.ShouldBe(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4 * 3);
}
