using System.Diagnostics;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments;

/// <summary>
/// The benchmark of the seed's mail (Petr Mladek, v4 3/8, 25 November 2013): "I tried to switch between 7 tracers: blk, branch, function_graph, wakeup_rt,
/// irqsoff, function, and nop. Every tracer has also been enabled and disabled. With 500 cycles". The mail has no script; which of the seven switch the
/// sites is taken from the kernel of then, and a cycle is each of those on and off, from nop to call and back.
/// </summary>
public static class SevenTracers
{
    /// <summary>How many cycles the mail's times are of.</summary>
    public const int CyclesOfTheMail = 500;

    /// <summary>The sites of the mail's machine, of which the mail says nothing: kernels of that time report 20,000 to 28,000.</summary>
    public const int SitesAssumed = 25_000;

    /// <summary>In the mail's order. The files are those of Linux 3.12.</summary>
    public static IReadOnlyList<Tracer> All { get; } =
    [
        new("blk", false, "tracepoints of the block layer (kernel/trace/blktrace.c)"),
        new("branch", false, "counters that the compiler put at likely() and unlikely() (kernel/trace/trace_branch.c)"),
        new("function_graph", true, "every function, on entry and return: register_ftrace_graph() (kernel/trace/trace_functions_graph.c)"),
        new("wakeup_rt", true, "tracepoints of the scheduler, and every function: register_ftrace_function() (kernel/trace/trace_sched_wakeup.c)"),
        new("irqsoff", true, "hooks where interrupts go off and on, and every function: register_ftrace_function() (kernel/trace/trace_irqsoff.c)"),
        new("function", true, "every function: register_ftrace_function() (kernel/trace/trace_functions.c)"),
        new("nop", false, "nothing (kernel/trace/trace_nop.c)"),
    ];

    /// <summary>How often a cycle switches all sites: the K of notebook 03.</summary>
    public static int SwitchesPerCycle { get; } = 2 * All.Count(tracer => tracer.HooksFunctions);

    /// <summary>What the mail's machine took for its 500 cycles: the first of its three repetitions; null for a protocol that it does not give.</summary>
    public static TimeSpan? RealTimeOfTheMail(IPatchProtocol protocol)
        => protocol == Protocols.Ftrace2012 ? new TimeSpan(0, 0, 16, 14, 390)
            : protocol == Protocols.TextPokeBp ? new TimeSpan(0, 0, 29, 45, 785)
            : null;

    /// <summary>Goes through the tracers again and again on one machine: every site is switched, every write and every sync done, each time.</summary>
    /// <param name="machine">The machine; its sites are nops before and after.</param>
    /// <param name="protocol">How the sites are switched.</param>
    /// <param name="cycles">How often through all seven.</param>
    /// <param name="progress">Told after each cycle how many are done.</param>
    /// <param name="cancellation">Leaves the machine in the middle of it.</param>
    /// <exception cref="BadInputException">The machine is traced already, or a switch went wrong: the message says how.</exception>
    public static SevenTracersRun Run(LabMachine machine, IPatchProtocol protocol, int cycles = CyclesOfTheMail, Action<int>? progress = null, CancellationToken cancellation = default)
    {
        if (cycles < 1) throw new BadInputException($"{cycles} cycles: the benchmark goes through its tracers at least once");
        if (machine.Records.Records.Any(record => record.IsEnabled)) throw new BadInputException("this machine's sites are traced already; turn tracing off, or make a new machine");

        var started = Stopwatch.GetTimestamp();
        var run = new SevenTracersRun(protocol, cycles, machine.Records.Records.Count, machine.Machine.Costs);
        for (var cycle = 0; cycle < cycles; cycle++)
        {
            foreach (var tracer in All)
            {
                if (!tracer.HooksFunctions) continue;
                Switch(tracer, enable: true);
                Switch(tracer, enable: false);
            }

            progress?.Invoke(cycle + 1);
        }

        run.StateHash = machine.Machine.Hash();
        run.HostSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return run;

        void Switch(Tracer tracer, bool enable)
            => run.Add(tracer, machine.SwitchUnhashed(protocol, enable, cancellation));
    }
}

/// <summary>What the benchmark of seven tracers did and cost, all its switches together.</summary>
public sealed class SevenTracersRun
{
    private readonly CostModel _costs;

    internal SevenTracersRun(IPatchProtocol protocol, int cycles, int sites, CostModel costs) => (Protocol, Cycles, Sites, _costs) = (protocol, cycles, sites, costs);

    public IPatchProtocol Protocol { get; }

    public int Cycles { get; }

    public int Sites { get; }

    /// <summary>How often all sites were switched.</summary>
    public int Switches { get; private set; }

    /// <summary>Rounds in which every CPU was made to serialise.</summary>
    public long SyncRounds { get; private set; }

    /// <summary>IPIs sent, one a target.</summary>
    public long Ipis { get; private set; }

    public long BytesWritten { get; private set; }

    public long SimulatedCycles { get; private set; }

    /// <summary>How long the patcher was at work by its CPU's clock. What a computer does between two switches (the shell, RCU, sleeping) is no part of it.</summary>
    public double SimulatedSeconds => _costs.SecondsOf(SimulatedCycles);

    /// <summary>What it took here, the checks of the text included.</summary>
    public double HostSeconds { get; internal set; }

    /// <summary>The machine's fingerprint in the end.</summary>
    public StateHash StateHash { get; internal set; }

    public override string ToString()
        => FormattableString.Invariant($"{Protocol.Name}, {Cycles} cycles of {SevenTracers.All.Count} tracers on {Sites:N0} sites: {Switches:N0} switches, {SyncRounds:N0} syncs, {Ipis:N0} IPIs, {BytesWritten:N0} bytes written, {Duration.Show(SimulatedSeconds)} simulated in {Duration.Show(HostSeconds)}");

    internal void Add(Tracer tracer, PatchRun run)
    {
        if (!run.IsGood) throw new BadInputException($"switch {Switches + 1}, tracer {tracer.Name}: {run}");
        Switches++;
        SyncRounds += run.SyncRounds;
        Ipis += run.Ipis;
        BytesWritten += run.BytesWritten;
        SimulatedCycles += run.SimulatedCycles;
    }
}
