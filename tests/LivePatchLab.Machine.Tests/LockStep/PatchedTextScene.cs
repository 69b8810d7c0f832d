using LivePatchLab.Experiments;
using LivePatchLab.Patching;

namespace LivePatchLab.Machine.Tests;

/// <summary>CPUs that call traced functions while one of the kernel's protocols switches their sites on and off, under any of the fetch models.</summary>
internal sealed class PatchedTextScene : LockStepScene
{
    private readonly LabMachine _lab;
    private readonly Dictionary<IPatchProtocol, IPatcher> _patchers = [];
    private readonly int _quantaPerSwitch;
    private IReadOnlyList<PatchSite> _sites = [];
    private KernelRoutine? _task;
    private bool _isEnabled;

    public PatchedTextScene(ulong seed, TestedEngine engine) : base(seed)
    {
        var isLoop = Draw.OneIn(3);
        var options = new LabMachineOptions
        {
            Cpus = Draw.Of(2, 3, 4, 8),
            Costs = Draw.Of(CostPreset.Unit, CostPreset.Unit, CostPreset.Quiet4),
            Fetch = Draw.Of<FetchModel>([.. FetchModel.Presets]),
            Seed = new(seed),
            Sites = 2 + Draw.Below(30),
            Workload = isLoop ? Workload.Idle : Workload.Running,
            QuantumCyclesMax = Draw.Of(1, 20, 200, 2_000, 20_000, 100_000),
            Engine = engine.Kind,
        };
        _lab = new(options);
        if (_lab.Machine.Interpreter.Native is { } translator) translator.Host = engine.Host;
        _quantaPerSwitch = 1 + Draw.Below(6);
        if (isLoop)
            for (var cpu = 1; cpu < options.Cpus; cpu++) SiteLoop.Start(_lab, cpu, Draw.Below(Math.Min(3, _lab.Text.Functions.Count)));
        Description = $"{_lab}, quantum {options.QuantumCyclesMax}{(isLoop ? ", loops over one site each" : "")}";
    }

    public override SmpMachine Machine => _lab.Machine;

    public override string Description { get; }

    /// <summary>A CPU that died of what its fetch model allows stays dead; what a protocol without a bug never makes of it.</summary>
    public override bool IsOver => _lab.Machine.Fault is not null;

    public override void BeforeQuantum()
    {
        if (_task is { IsComplete: false }) return;
        if (_task is not null)
        {
            for (var i = 0; i < _sites.Count; i++)
                if (_sites[i].IsFinished) _lab.Records.Records[i].UpdateRecord(_isEnabled);
            _task = null;
        }

        if (!Draw.OneIn(_quantaPerSwitch)) return;
        _isEnabled = !_isEnabled;
        _sites = _lab.SitesFor(_isEnabled);
        var protocol = Draw.Of<IPatchProtocol>([.. Protocols.Kernel]);
        if (!_patchers.TryGetValue(protocol, out var patcher)) _patchers[protocol] = patcher = protocol.Attach(_lab.Kernel);
        _task = Machine.Cpus[0].Start(protocol.Name, Switch(patcher, new(_lab.Kernel, Machine.Cpus[0]), _sites));
    }

    public override void Dispose() => _lab.Dispose();

    /// <summary>A protocol at its work, with what its caller has to hold.</summary>
    public static IEnumerable<KernelStep> Switch(IPatcher patcher, PatchContext context, IReadOnlyList<PatchSite> sites)
    {
        yield return context.TextMutex.Acquire();
        yield return KernelStep.Call(patcher.Apply(context, sites));
        yield return context.TextMutex.Release();
    }
}
