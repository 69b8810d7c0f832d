using System.Diagnostics;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments;

/// <summary>
/// An emulated machine made ready: kernel text with its traced sites, a kernel to patch it, and CPUs that have something to
/// do. CPU 0 is the one that patches.
/// </summary>
public sealed class LabMachine : IDisposable
{
    private static readonly byte[] Nop = FtraceRecords.NopReplace();

    private readonly Dictionary<IPatchProtocol, IPatcher> _patchers = [];

    /// <summary>The call of each record, made when first asked for.</summary>
    private byte[][]? _calls;

    private PatchSite[]? _toCalls;
    private PatchSite[]? _toNops;

    /// <exception cref="BadInputException">The options ask for what there cannot be.</exception>
    public LabMachine(LabMachineOptions options)
    {
        if (options.Cpus is < 1 or > MachineOptions.CpusMax)
            throw new BadInputException($"{options.Cpus} CPUs: a machine has 1 to {MachineOptions.CpusMax} CPUs");
        if (options.ActualWorkload == Workload.Loaded && options.Costs.Load is null)
            throw new BadInputException($"the cost model {options.Costs.Name} knows no load; take workload idle or running, or the cost model loaded-24");

        Options = options;
        Machine = new(new MachineOptions
        {
            Cpus = options.Cpus,
            Costs = options.Costs.Costs,
            Fetch = options.Fetch,
            Choices = new SeededChoices(options.Seed),
            QuantumCyclesMax = options.QuantumCyclesMax ?? (int)Math.Clamp(options.Costs.Costs.IpiLatency.Cycles, 20, 1000),
            Engine = options.Engine,
        });
        Kernel = new(Machine);
        Text = LayOutText(options);
        Machine.CodeMap = new TracedTextMap(Text);
        Records = new(options.Sites is { } wanted ? Text.Sites.Take(wanted) : Text.Sites, Text.FtraceCaller);
        StartWorkload(options.ActualWorkload);
    }

    public LabMachineOptions Options { get; }

    public SmpMachine Machine { get; }

    public LinuxKernel Kernel { get; }

    public TracedText Text { get; }

    public FtraceRecords Records { get; }

    public Workload Workload => Options.ActualWorkload;

    /// <summary>Calls that the tracer has counted, all CPUs together.</summary>
    public long TracerCalls => SumPerCpu(TracedText.CallsOffset);

    /// <summary>Traced functions that the CPUs have called.</summary>
    public long Visits => SumPerCpu(TracedText.VisitsOffset);

    /// <summary>What ftrace would patch to bring all records to a state: nop to call, or back. Records that are there already need no change.</summary>
    public IReadOnlyList<PatchSite> SitesFor(bool enable) => NewSitesFor(enable);

    /// <summary>Turns tracing on or off at all sites, and has the records follow.</summary>
    public PatchRun Switch(IPatchProtocol protocol, bool enable, CancellationToken cancellation = default, Action<PatchProgress>? progress = null)
        => Switch(protocol, OwnSitesFor(enable), enable, () => Machine.Hash(), progress, cancellation);

    /// <summary>The same without the fingerprint of all memory in the end, for those who switch thousands of times.</summary>
    internal PatchRun SwitchUnhashed(IPatchProtocol protocol, bool enable, CancellationToken cancellation)
        => Switch(protocol, OwnSitesFor(enable), enable, () => default, progress: null, cancellation);

    /// <summary>Replaces code by a protocol, from CPU 0, while the other CPUs go on, and looks whether all went as it may.</summary>
    /// <param name="protocol">How.</param>
    /// <param name="sites">What; in ascending order of addresses.</param>
    /// <param name="cancellation">Leaves the machine in the middle of it.</param>
    /// <param name="progress">Told now and then how far the patcher is, on the calling thread; it changes nothing of the outcome.</param>
    public PatchRun Patch(IPatchProtocol protocol, IReadOnlyList<PatchSite> sites, CancellationToken cancellation = default, Action<PatchProgress>? progress = null)
        => DoPatch(protocol, sites, () => Machine.Hash(), progress, cancellation);

    /// <summary>Lets the CPUs go on for some cycles with nobody patching.</summary>
    public MachineStop RunGuests(long cycles, CancellationToken cancellation = default)
        => Machine.Run(clockLimitCycles: Machine.ClockCycles + cycles, cancellation: cancellation);

    public void Dispose() => Machine.Dispose();

    public override string ToString()
        => $"{Machine.Cpus.Count} CPUs, {Workloads.NameOf(Workload)}; {Records.Records.Count:N0} traced sites of {Text.KernelName}; costs {Options.Costs.Name}, fetch {Options.Fetch.Name}, seed {Options.Seed}";

    /// <summary>Patches sites that are records of this machine, the first ones or all, and has the records follow.</summary>
    internal PatchRun Switch(IPatchProtocol protocol, IReadOnlyList<PatchSite> sites, bool enable, Func<StateHash> hash, Action<PatchProgress>? progress, CancellationToken cancellation)
    {
        var run = DoPatch(protocol, sites, hash, progress, cancellation);
        var records = RecordArray;
        for (var i = 0; i < sites.Count; i++)
            if (sites[i].IsFinished) records[i].UpdateRecord(enable);
        return run;
    }

    private PatchRun DoPatch(IPatchProtocol protocol, IReadOnlyList<PatchSite> sites, Func<StateHash> hash, Action<PatchProgress>? progress, CancellationToken cancellation)
    {
        if (!_patchers.TryGetValue(protocol, out var patcher)) _patchers[protocol] = patcher = protocol.Attach(Kernel);
        var started = Stopwatch.GetTimestamp();
        var cpu = Machine.Cpus[0];
        var startClock = cpu.ClockCycles;
        var (syncRounds, bytesWritten) = (Kernel.SyncRounds, Kernel.TextBytesWritten);
        var context = new PatchContext(Kernel, cpu) { RecordReached = progress is null ? null : new PassCounter(Machine.Accounts, sites.Count, progress).Count };
        Machine.Accounts.Restart(startClock);

        using var watch = new SiteWatch(Machine, sites);
        var task = cpu.Start(protocol.Name, UnderTextMutex(patcher, context, sites));
        var stop = Machine.Run(task, cancellation: cancellation);
        watch.IsComplete = stop == MachineStop.Completed;
        if (watch.IsComplete && Workload == Workload.Running) RunGuests(AftermathCycles, cancellation);

        return new()
        {
            Engine = protocol.Name,
            Sites = sites.Count,
            Cpus = Machine.Cpus.Count,
            Seed = Options.Seed,
            CostModel = Options.Costs.Name,
            FetchModel = Options.Fetch.Name,
            Workload = Workloads.NameOf(Workload),
            SyncRounds = Kernel.SyncRounds - syncRounds,
            BytesWritten = Kernel.TextBytesWritten - bytesWritten,
            SimulatedCycles = (task.IsComplete ? task.CompletedClockCycles : cpu.ClockCycles) - startClock,
            Costs = Machine.Costs,
            HostSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds,
            Phases = [.. Machine.Accounts.Phases],
            Failure = context.Failure,
            Bug = Kernel.Bug,
            Violation = watch.Violation ?? ViolationOf(stop) ?? (context.Failure is null && Kernel.Bug is null ? WrongText(sites) : null),
            StateHash = hash(),
        };
    }

    private PatchSite[] NewSitesFor(bool enable)
    {
        var records = RecordArray;
        _calls ??= [.. records.Select(record => Records.CallReplace(record.Ip))];
        var sites = new PatchSite[records.Length];
        for (var i = 0; i < sites.Length; i++)
        {
            var record = records[i];
            sites[i] = record.TestRecord(enable) switch
            {
                FtraceUpdate.MakeCall => new(record.Ip, Nop, _calls[i]),
                FtraceUpdate.MakeNop => new(record.Ip, _calls[i], Nop),
                _ => new(record.Ip, enable ? _calls[i] : Nop, null),
            };
        }

        return sites;
    }

    /// <summary>As <see cref="SitesFor"/>, for a patch of which nobody keeps the sites: tracing that goes on and off does not make tens of thousands of them each time.</summary>
    private PatchSite[] OwnSitesFor(bool enable)
    {
        if (Array.Exists(RecordArray, record => record.IsEnabled == enable)) return NewSitesFor(enable);
        ref var own = ref enable ? ref _toCalls : ref _toNops;
        if (own is null) return own = NewSitesFor(enable);
        foreach (var site in own)
        {
            site.IsFinished = false;
            if (!site.Guard.IsEmpty) site.Guard = default;
        }

        return own;
    }

    private DynFtrace[] RecordArray => field ??= [.. Records.Records];

    /// <summary>How long the CPUs are watched after the patcher has returned, for old code that must not be seen any more.</summary>
    private const long AftermathCycles = 100_000;

    private static IEnumerable<KernelStep> UnderTextMutex(IPatcher patcher, PatchContext context, IReadOnlyList<PatchSite> sites)
    {
        yield return context.TextMutex.Acquire();
        yield return KernelStep.Call(patcher.Apply(context, sites));
        yield return new PhaseMark("");
        yield return context.TextMutex.Release();
    }

    private Violation? ViolationOf(MachineStop stop) => stop switch
    {
        MachineStop.Fault => new(ViolationKind.UnhandledException, Machine.Fault!.Cpu, Machine.Fault.ClockCycles, Machine.Fault.Rip, $"nobody consumed {Machine.Fault.Vector.Mnemonic()} at {Machine.Fault.Rip}"),
        MachineStop.Deadlock => new(ViolationKind.Deadlock, new(0), Machine.Cpus[0].ClockCycles, default, "deadlock: " + string.Join("; ", Machine.Waiting())),
        _ => null,
    };

    private Violation? WrongText(IReadOnlyList<PatchSite> sites)
    {
        Span<byte> room = stackalloc byte[16];
        foreach (var site in sites as PatchSite[] ?? [.. sites])
        {
            var expected = site.NewCode ?? site.OldCode;
            var fits = expected.Length <= room.Length && Machine.Memory.TryRead(site.Address, room[..expected.Length]);
            var actual = fits ? room[..expected.Length] : Machine.Memory.Read(site.Address, expected.Length);
            if (!actual.SequenceEqual(expected))
                return new(ViolationKind.WrongText, new(0), Machine.Cpus[0].ClockCycles, site.Address, $"{site.Address} holds {Convert.ToHexStringLower(actual)} in the end, not {Convert.ToHexStringLower(expected)}");
        }

        return null;
    }

    private void StartWorkload(Workload workload)
    {
        foreach (var cpu in Machine.Cpus)
        {
            cpu.GsBase = Text.PerCpuBase(cpu.Id);
            switch (workload)
            {
                case Workload.Running:
                    Text.StartDriver(cpu);
                    break;
                case Workload.Loaded when cpu.Id.Index > 0:
                    cpu.Start("load", Options.Costs.Load!.Steps(Machine));
                    break;
            }
        }
    }

    private TracedText LayOutText(LabMachineOptions options)
    {
        if (options.Image is null)
            return SyntheticText.LayOut(Machine.Memory, options.Sites is { } sites ? SitePopulation.Take(options.Table, sites) : options.Table, options.Cpus);
        var text = KernelText.LayOut(Machine.Memory, options.Image, options.Cpus);
        return options.Sites is { } wanted && (wanted < 1 || wanted > text.Sites.Count)
            ? throw new BadInputException($"{wanted} sites: {text.KernelName} has 1 to {text.Sites.Count} sites that tracing enables")
            : text;
    }

    private long SumPerCpu(int offset)
        => Machine.Cpus.Sum(cpu => (long)Machine.Memory.ReadUInt64(Text.PerCpuBase(cpu.Id) + offset));
}
