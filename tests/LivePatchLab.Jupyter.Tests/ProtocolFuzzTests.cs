using System.Globalization;
using Xunit.Abstractions;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>
/// A kernel in the test's own process gets messages that no good frontend sends, over real sockets, on all three channels that take any. After each batch it must answer
/// kernel_info on shell and control, and run a cell. LIVEPATCH_FUZZ_MESSAGES names how many messages, LIVEPATCH_FUZZ_SEED the seed of a run to repeat.
/// </summary>
public sealed class ProtocolFuzzTests(ITestOutputHelper output)
{
    private const int MessagesInCi = 24_000;
    private const int BatchMin = 500;
    private const int BatchesMax = 200;

    [ZmqFact]
    public void Whatever_comes_the_kernel_answers_and_runs_cells()
    {
        var messages = FromEnvironment("LIVEPATCH_FUZZ_MESSAGES", MessagesInCi);
        var seed = FromEnvironment("LIVEPATCH_FUZZ_SEED", Environment.TickCount & 0xffff);
        output.WriteLine($"LIVEPATCH_FUZZ_MESSAGES={messages} LIVEPATCH_FUZZ_SEED={seed}");
        using var kernel = new KernelHere();
        kernel.Execute("var kept = 1;").Status.ShouldBe("ok");
        var generator = new FrameGenerator(seed, kernel);
        var channels = new Random(seed);
        using var hostile = new Channels(kernel);
        var batch = Math.Max(BatchMin, messages / BatchesMax);
        var answered = 0;
        for (var sent = 0; sent < messages;)
        {
            var end = Math.Min(messages, sent + batch);
            for (; sent < end; sent++) hostile.All[channels.Next(hostile.All.Length)].Send(generator.Next());
            try
            {
                answered += hostile.Drain();
                kernel.Ask("kernel_info_request").Status.ShouldBe("ok");
                kernel.Ask("kernel_info_request", channel: kernel.Control).Status.ShouldBe("ok");
                kernel.Execute("kept + 1").Text.ShouldBe("2");
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"after {sent} messages of seed {seed}: {e.Message}", e);
            }
        }

        // Had the kernel taken none of them for a request, this would have tested little.
        answered.ShouldBeGreaterThan(messages / 10);
        output.WriteLine($"{answered} of {messages} messages were answered");
    }

    [ZmqFact]
    public void The_same_seed_makes_the_same_messages()
    {
        using var kernel = new KernelHere();
        FrameGenerator one = new(7, kernel), other = new(7, kernel);
        for (var i = 0; i < 2000; i++) one.Next().Select(Convert.ToHexString).ShouldBe(other.Next().Select(Convert.ToHexString));
    }

    /// <summary>The control: a kernel that a message does end is found out by the very questions that the fuzz test asks.</summary>
    [ZmqFact]
    public void A_kernel_that_has_ended_is_noticed()
    {
        using var kernel = new KernelHere();
        kernel.Ask("shutdown_request", channel: kernel.Control).Status.ShouldBe("ok");
        kernel.End();
        kernel.Shell.Set(Zmq.ReceiveTimeout, 200);
        Should.Throw<TimeoutException>(() => kernel.Ask("kernel_info_request"));
    }

    private static int FromEnvironment(string name, int otherwise)
        => Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture) : otherwise;

    /// <summary>The sockets that the messages go through: not those of the frontend that asks whether the kernel lives.</summary>
    private sealed class Channels(JupyterClient kernel) : IDisposable
    {
        public ZmqSocket[] All { get; } =
        [
            kernel.Connect(Zmq.Dealer, ConnectionFolder.ShellPort, "fuzz"), kernel.Connect(Zmq.Dealer, ConnectionFolder.ControlPort, "fuzz"), kernel.Connect(Zmq.Dealer, ConnectionFolder.StdinPort, "fuzz"),
        ];

        /// <summary>Waits until all that was sent has been handled, and tells how many answers came. A cell of ours would not run while a failing one of theirs is behind it.</summary>
        public int Drain()
        {
            var count = 0;
            foreach (var socket in All[..2])
            {
                var last = kernel.Send("kernel_info_request", channel: socket);
                while (kernel.Next(socket).ParentId != last) count++;
            }

            kernel.Settle();
            return count;
        }

        public void Dispose()
        {
            foreach (var socket in All) socket.Dispose();
        }
    }
}
