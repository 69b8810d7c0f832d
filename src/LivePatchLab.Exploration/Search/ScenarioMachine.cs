using System.Collections.Concurrent;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>A machine that runs one execution of a scenario after the other, each as a search decides. One thread's own.</summary>
internal sealed class ScenarioMachine : IDisposable
{
    /// <summary>A search of a small scenario is over before reflection has said this for its checkers.</summary>
    private static readonly ConcurrentDictionary<(Type Checker, string Method), bool> Overrides = new();

    private readonly Scenario _scenario;
    private readonly SearchChoices _choices = new();
    private readonly List<Transition> _enabled = [];
    private readonly Checker[] _checkers;
    private readonly MachineSnapshot _start;
    private readonly Watching _patching, _fetching, _retiring, _storing, _trapping, _stepping;
    private readonly Checker[] _beginning, _ending;

    /// <summary>By CPU: the instruction that checkers have been told of as it was fetched, and that has not retired yet.</summary>
    private readonly GuestAddress?[] _fetched;

    // Subscribed and unsubscribed in every execution, so made once.
    private readonly DirtyFetchHandler _onFetched;
    private readonly Action<StepEvent> _onStepped;
    private readonly Action<RetiredEvent> _onRetired;

    /// <summary>Checkers look at every instruction that retires; null until the first execution has named its sites.</summary>
    private bool? _looksAtAll;

    /// <summary>A site is several instructions, and a checker follows how CPUs go through it.</summary>
    private bool _hasPasses;

    public ScenarioMachine(Scenario scenario, FetchModel model)
    {
        _scenario = scenario;
        Machine = new(new MachineOptions
        {
            Cpus = scenario.Cpus,
            Costs = Untimed,
            Fetch = model,
            MemoryOrder = scenario.MemoryOrder,
            Choices = _choices,
            QuantumCyclesMax = 1,

            // One transition at a time, nothing is ever hot: a translator would only have to be made and thrown away.
            Engine = ExecutionEngine.Interpreter,
        });
        scenario.LayOut(Machine);
        Run = new(Machine) { Patched = OnPatched };
        Checked = scenario.CheckedUnder(model);
        _checkers = [.. Checkers.For(Checked), .. scenario.MakeCheckers()];
        (_onFetched, _onStepped, _onRetired) = (OnFetched, OnStepped, OnRetired);
        _fetched = new GuestAddress?[scenario.Cpus];
        _patching = WhoOverride(nameof(Checker.OnPatched));
        _fetching = WhoOverride(nameof(Checker.OnFetched));
        _retiring = WhoOverride(nameof(Checker.OnRetired));
        _storing = WhoOverride(nameof(Checker.OnCodeStored));
        _trapping = WhoOverride(nameof(Checker.OnTrapped));
        _stepping = Watching.Of(_checkers.Where(c => c.WantsSteps));
        (_beginning, _ending) = (WhoOverride(nameof(Checker.Begin)).All, WhoOverride(nameof(Checker.End)).All);
        _start = Machine.TakeSnapshot();
        if (_checkers.Length > 0) Listen();
    }

    /// <summary>Nothing takes time but what says so: a delay. Order is all that exploration is about.</summary>
    public static CostModel Untimed { get; } = new()
    {
        Name = "untimed",
        Description = "Nothing takes any time but explicit delays.",
        FrequencyHz = 1_000_000_000,
        Instruction = Nothing,
        IpiSend = Nothing,
        IpiLatency = Nothing,
        InterruptEntry = Nothing,
        InterruptExit = Nothing,
        Serialise = Nothing,
        AcknowledgeRead = Nothing,
        BreakpointEntry = Nothing,
        BreakpointHandler = Nothing,
        TextRead = Nothing,
        TextPoke = Nothing,
        ProbeWrite = Nothing,
        VariableAccess = Nothing,
        CacheMiss = Nothing,
        Fence = Nothing,
        StopperWake = Nothing,
    };

    public SmpMachine Machine { get; }

    public ScenarioRun Run { get; }

    public Invariants Checked { get; }

    /// <summary>True while an execution begins as another did before.</summary>
    private bool _isRepeating;

    /// <summary>Transitions of the execution that ran last.</summary>
    public int Transitions { get; private set; }

    /// <summary>What every decision of the execution that ran last was, where it was asked for.</summary>
    public DecisionList Decisions => new(_choices.Recorded);

    /// <summary>
    /// True where each execution must be the same whichever were run before it, as where threads share them. An exhaustive search keeps what it has learnt of the code that
    /// changes, for it looks at every execution in the light of the others.
    /// </summary>
    public bool ForgetsStores { get; init; }

    /// <summary>Told before each transition; for those who look at one execution closely.</summary>
    public Action<Transition>? Performing { get; set; }

    private static CostFigure Nothing => new(0, "exploration knows no time");

    /// <summary>Runs one execution.</summary>
    /// <param name="search">Who decides; it has begun this execution.</param>
    /// <param name="records">True to keep the decisions.</param>
    public ExecutionEnd Execute(ISearch search, bool records)
    {
        _choices.Begin(search, records);
        Machine.Restore(_start);
        if (ForgetsStores) Machine.ForgetUndeclaredStores();
        Machine.Accesses!.KeepsAccesses = false;
        Run.Restart();
        Array.Clear(_fetched);
        _scenario.Begin(Run);
        foreach (var site in Run.SiteSpan) Machine.DeclareVolatile(site.Address, site.Length);
        if (_looksAtAll is null) LookAtAll();
        foreach (var checker in _beginning) checker.Begin(Run);
        Transitions = 0;
        EndRepeating();
        if (!records && Performing is null) Repeat(search);
        Machine.Accesses.KeepsAccesses = search.WantsAccesses;
        var end = PerformAll(search);
        if (end is ExecutionEnd.Complete or ExecutionEnd.Stopped)
        {
            foreach (var checker in _ending) checker.End(Run);
            Judge();
        }

        search.End(end);
        return end;
    }

    /// <summary>What everybody was doing when an execution was cut off.</summary>
    public string WhatRuns() => string.Join("; ", Machine.Cpus.Where(c => c.IsBusy).Select(c =>
        $"after {_scenario.TransitionsMax:N0} transitions {c.Id} was still {(c.Routine is { } routine ? $"in {routine.Name}, at '{routine.CurrentStep}'" : $"executing at {c.Rip}")}"));

    public void Dispose() => Machine.Dispose();

    /// <summary>Does what the execution has in common with the one before, which has been looked at: nothing is collected, kept or checked but what checkers remember.</summary>
    private void Repeat(ISearch search)
    {
        _isRepeating = true;
        if (_stepping.IsMutedWhenRepeating) Machine.Events.Stepped -= _onStepped;
        if (_fetching.IsMutedWhenRepeating) Machine.Events.DirtyFetched -= _onFetched;
        if (IsRetiringMutedWhenRepeating) Machine.Events.Retired -= _onRetired;
        for (; search.TryGoOnAsBefore(out var transition); Transitions++)
        {
            if (!Machine.CanPerform(transition)) throw new NotDeterministicException();
            Machine.Perform(transition);
            if (Machine.IsStopRequested) throw new NotDeterministicException();
        }

        EndRepeating();
    }

    /// <summary>From here on everything is new.</summary>
    private void EndRepeating()
    {
        if (!_isRepeating) return;
        _isRepeating = false;
        if (_stepping.IsMutedWhenRepeating) Machine.Events.Stepped += _onStepped;
        if (_fetching.IsMutedWhenRepeating) Machine.Events.DirtyFetched += _onFetched;
        if (IsRetiringMutedWhenRepeating) Machine.Events.Retired += _onRetired;
    }

    private ExecutionEnd PerformAll(ISearch search)
    {
        var (machine, enabled, wantsAccesses, transitionsMax) = (Machine, _enabled, search.WantsAccesses, _scenario.TransitionsMax);
        for (; Transitions < transitionsMax; Transitions++)
        {
            machine.CollectTransitions(enabled);
            if (enabled.Count == 0) return ExecutionEnd.Complete;
            var chosen = search.ChooseTransition(enabled);
            if (chosen < 0) return ExecutionEnd.Abandoned;
            var transition = enabled[chosen];
            if (_choices.Records) _choices.NoteTransition(chosen, enabled.Count);
            Performing?.Invoke(transition);
            machine.Perform(transition);
            if (wantsAccesses) search.Performed(machine.Accesses!.Accesses);
            if (machine.IsStopRequested)
            {
                Transitions++;
                return ExecutionEnd.Stopped;
            }
        }

        return ExecutionEnd.TooLong;
    }

    /// <summary>What the machine itself shows to be wrong, where no checker has said it better.</summary>
    private void Judge()
    {
        if (Run.Violation is not null || MachineFailure.Of(Run) is not { } failure) return;
        var invariant = _scenario.ShownByFailure(Run) ?? failure.Invariant;
        if (_scenario.ReportsOnlyWhatIsChecked && (invariant & Checked) == 0) return;
        Run.Report(invariant, failure.Cpu, failure.Address, failure.Detail);
    }

    private void Listen()
    {
        var events = Machine.Events;
        if (_fetching.All.Length > 0) events.DirtyFetched += _onFetched;
        if (_storing.All.Length > 0) events.CodeStored += OnCodeStored;
        events.Trapped += OnTrapped;
        if (_stepping.All.Length > 0) events.Stepped += _onStepped;
    }

    private bool IsRetiringMutedWhenRepeating => _looksAtAll == true && _fetching.Again.Length == 0 && (!_hasPasses || _retiring.Again.Length == 0);

    /// <summary>
    /// Of code that is the same for all CPUs no fetch is told. That hides nothing as a rule: in some other order a CPU comes by while it is new to some. It does where the model keeps
    /// no older version at all, and where a CPU stands between two instructions of a site until all is the same again. There each instruction is looked at that retires.
    /// </summary>
    private void LookAtAll()
    {
        var hasSeveral = HasSiteOfSeveral();
        _hasPasses = hasSeveral && _retiring.All.Length > 0;
        _looksAtAll = _hasPasses || (_fetching.All.Length > 0 && (hasSeveral || KeepsNothing(Machine.Fetch)));
        if (_looksAtAll == true) Machine.Events.Retired += _onRetired;
    }

    private static bool KeepsNothing(FetchModel model) => model is { RemoteSnoop: RemoteSnoop.FlushAll, IcacheCoherent: true, CaptureUnit: not CaptureUnit.Block };

    /// <summary>A slot of data may look like several instructions, and is none.</summary>
    private bool HasSiteOfSeveral()
    {
        foreach (var site in Run.SiteSpan)
            if (site.HasSeveralInstructions && Machine.Memory.PermissionsAt(site.Address)?.HasFlag(PagePermissions.Execute) == true) return true;
        return false;
    }

    private void OnPatched()
    {
        foreach (var checker in _isRepeating ? _patching.Again : _patching.All) checker.OnPatched(Run);
    }

    private void OnFetched(CpuId cpu, long clockCycles, GuestAddress rip, ReadOnlySpan<byte> bytes, FetchCoherence coherence)
    {
        _fetched[cpu.Index] = rip;
        foreach (var checker in _isRepeating ? _fetching.Again : _fetching.All) checker.OnFetched(Run, Run.CpuArray[cpu.Index], rip, bytes);
    }

    private void OnRetired(RetiredEvent e)
    {
        var cpu = Run.CpuArray[e.Cpu.Index];
        var bytes = Machine.LastFetched;
        ref var fetched = ref _fetched[e.Cpu.Index];
        if (fetched == e.Rip)
        {
            fetched = null;
        }
        else
        {
            foreach (var checker in _isRepeating ? _fetching.Again : _fetching.All) checker.OnFetched(Run, cpu, e.Rip, bytes);
        }

        if (!_hasPasses) return;
        foreach (var checker in _isRepeating ? _retiring.Again : _retiring.All) checker.OnRetired(Run, cpu, e.Rip, bytes);
    }

    private void OnCodeStored(CodeStoredEvent e)
    {
        foreach (var checker in _isRepeating ? _storing.Again : _storing.All) checker.OnCodeStored(Run, Run.CpuArray[e.Cpu.Index], e.Address, e.Length);
    }

    private void OnTrapped(TrapEvent e)
    {
        var cpu = Run.CpuArray[e.Cpu.Index];
        _fetched[e.Cpu.Index] = null;
        Run.NoteTrapped(cpu, e.Frame);
        foreach (var checker in _isRepeating ? _trapping.Again : _trapping.All) checker.OnTrapped(Run, cpu, e.Frame);
    }

    private void OnStepped(StepEvent e)
    {
        foreach (var checker in _isRepeating ? _stepping.Again : _stepping.All) checker.OnStep(Run, Run.CpuArray[e.Cpu.Index], e.Routine, e.Step);
    }

    /// <summary>The checkers that look at an event: a search raises millions of each, and most checkers look at one or two kinds.</summary>
    private Watching WhoOverride(string method) => Watching.Of(_checkers.Where(c => Overrides.GetOrAdd((c.GetType(), method), IsOverridden)));

    private static bool IsOverridden((Type Checker, string Method) of) => of.Checker.GetMethod(of.Method)!.DeclaringType != typeof(Checker);

    /// <summary>Checkers that look at one kind of event, and those of them that must be told again of what they have seen in another execution.</summary>
    private sealed record Watching(Checker[] All, Checker[] Again)
    {
        public bool IsMutedWhenRepeating { get; } = All.Length > 0 && Again.Length == 0;

        public static Watching Of(IEnumerable<Checker> checkers)
        {
            Checker[] all = [.. checkers];
            return new(all, [.. all.Where(c => c.RemembersEvents)]);
        }
    }

    /// <summary>Hands the machine's questions to whichever search is at work, and writes the answers down.</summary>
    private sealed class SearchChoices : IChoiceSource
    {
        private readonly List<Decision> _recorded = [];
        private ISearch? _search;

        public bool Records { get; private set; }

        public IEnumerable<Decision> Recorded => _recorded;

        public void Begin(ISearch search, bool records)
        {
            _search = search;
            Records = records;
            _recorded.Clear();
        }

        public void NoteTransition(int chosen, int alternatives)
        {
            if (alternatives > 1) _recorded.Add(new(ChoicePoint.Schedule, chosen, alternatives));
        }

        public int Choose(ChoicePoint point, int alternatives)
        {
            var choice = _search!.Choose(point, alternatives);
            if (Records) _recorded.Add(new(point, choice, alternatives));
            return choice;
        }
    }
}
