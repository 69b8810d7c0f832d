using System.Diagnostics;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Benchmarks;

/// <summary>How long a user who interrupts a cell waits for the prompt.</summary>
internal static class InterruptLatency
{
    private const int Interrupts = 50;

    private static readonly (string Name, string Code)[] Cells =
    [
        ("while (true) { }", "while (true) { }"),
        ("a loop full of try and catch", "while (true) { try { throw new Exception(); } catch { } }"),
        ("a running machine", "var m = new LabMachine(new() { Workload = Workload.Running }); m.RunGuests(long.MaxValue / 2);"),
        ("a sweep on all cores", "Sweep.Run(new SweepSpec { Engines = [\"text_poke_bp\"], Sites = [1000], Cpus = [16], Seeds = [.. Enumerable.Range(1, 1000).Select(seed => (ulong)seed)] });"),
        ("Thread.Sleep", "Thread.Sleep(-1);"),
        ("an await", "await Task.Delay(-1);"),
    ];

    public static Benchmark Benchmark { get; } = new("interrupts", $"from the interrupt of a cell to its end, milliseconds, {Interrupts} interrupts each; the session is one and lives on", Measure);

    private static ResultTable Measure()
    {
        var table = new ResultTable("cell", "median", "p98", "most");
        var session = new NotebookSession(LabMagics.Table(), new CSharpSession(CSharpSessionOptions.Lab));
        Interrupt(session, Cells[0].Code);
        foreach (var (name, code) in Cells)
        {
            var times = Enumerable.Range(0, Interrupts).Select(_ => Interrupt(session, code)).Order().ToArray();
            table.Add(name, times[Interrupts / 2], times[Interrupts * 98 / 100], times[^1]);
        }

        return table;
    }

    private static double Interrupt(NotebookSession session, string code)
    {
        using var interrupt = new CancellationTokenSource();
        var output = new FirstText();
        var cell = Task.Run(() => session.RunCellAsync($"Console.Write(\"on\"); {code}", 1, output, interrupt.Token));
        if (!output.Written.Wait(TimeSpan.FromSeconds(60))) throw new InvalidOperationException($"the cell has not begun: {code}");
        Thread.Sleep(20);
        var asked = Stopwatch.GetTimestamp();
        interrupt.Cancel();
        var result = cell.GetAwaiter().GetResult();
        var milliseconds = Stopwatch.GetElapsedTime(asked).TotalMilliseconds;
        if (result.Failure?.ToString() != "cell 1: interrupted") throw new InvalidOperationException($"the cell was not interrupted: {result.Failure}");
        return milliseconds;
    }

    private sealed class FirstText : ICellOutput
    {
        public ManualResetEventSlim Written { get; } = new();

        public void Write(string stream, string text) => Written.Set();

        public Action<MimeBundle> Display(MimeBundle bundle) => _ => { };

        public void Report(Progress progress) { }
    }
}
