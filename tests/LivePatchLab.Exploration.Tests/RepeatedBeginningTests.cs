using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>What an execution has in common with the one before it is done again for less, and nobody may be able to tell.</summary>
public sealed class RepeatedBeginningTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_checker_that_remembers_is_told_of_every_event_of_every_execution(bool reduces)
    {
        var strategy = new DepthFirst(reduces);
        var (remembering, executions) = Explore(strategy, remembers: true);
        var (fromTheStart, executionsFromTheStart) = Explore(new FromTheStart(strategy), remembers: true);
        executions.ShouldBe(executionsFromTheStart);
        remembering.ShouldBe(fromTheStart);
        remembering.Distinct().Count().ShouldBeGreaterThan(1);
    }

    [Fact]
    public void A_checker_that_forgets_is_told_of_what_is_new_only()
    {
        var (told, executions) = Explore(new DepthFirst(), remembers: false);
        var (toldOfAll, executionsFromTheStart) = Explore(new FromTheStart(new DepthFirst()), remembers: false);
        executions.ShouldBe(executionsFromTheStart);
        told.Count.ShouldBe(toldOfAll.Count);
        told.Sum(t => t.Steps).ShouldBeInRange(1, toldOfAll.Sum(t => t.Steps) / 2);
    }

    [Fact]
    public void What_an_execution_comes_to_is_the_same_whether_it_was_begun_anew_or_not()
    {
        var plan = ExplorationPlan.Of(() => new PatchScenario(Protocols.TextPokeBp.Without(TextPokeBp.PhaseTail), new() { SiteOffset = 61 })).Under(FetchModel.AmdAsync);
        var found = plan.Run().Counterexample.ShouldNotBeNull();
        var foundFromTheStart = plan.By(new FromTheStart(new DepthFirst())).Run().Counterexample.ShouldNotBeNull();
        found.Decisions.ToString().ShouldBe(foundFromTheStart.Decisions.ToString());
        found.StateHash.ShouldBe(foundFromTheStart.StateHash);
        found.Executions.ShouldBe(foundFromTheStart.Executions);
    }

    [Fact]
    public void Things_that_share_a_bit_are_told_apart()
    {
        var bits = new ThingBits();
        for (var thing = 0u; thing < 100; thing++) bits.Of(thing);
        bits.Of(99).ShouldBe(bits.Of(35));
        Conflict(bits, new(99, AccessKind.Write), new(35, AccessKind.Write)).ShouldBeFalse();
        Conflict(bits, new(99, AccessKind.Write), new(99, AccessKind.Read)).ShouldBeTrue();
        Conflict(bits, new(50, AccessKind.Write), new(50, AccessKind.Read)).ShouldBeTrue();
        Conflict(bits, new(50, AccessKind.Read), new(50, AccessKind.Read)).ShouldBeFalse();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_execution_drawn_by_seed_is_the_same_whichever_were_run_before(bool forgets)
    {
        var walk = new RandomWalk().Begin(new(1));
        using var used = new ScenarioMachine(new UndeclaredStoreScenario(), FetchModel.SdmWorst) { ForgetsStores = forgets };
        var differences = 0;
        for (var i = 0; i < 32; i++)
        {
            using var fresh = new ScenarioMachine(new UndeclaredStoreScenario(), FetchModel.SdmWorst) { ForgetsStores = forgets };
            walk.TryBegin(i);
            used.Execute(walk, records: false);
            walk.TryBegin(i);
            fresh.Execute(walk, records: false);
            if (used.Transitions != fresh.Transitions) differences++;
        }

        (differences == 0).ShouldBe(forgets);
    }

    private static bool Conflict(ThingBits bits, Access a, Access b) => Of(bits, [a]).ConflictWith(Of(bits, [b]), bits);

    private static TouchedThings Of(ThingBits bits, Access[] accesses)
        => new(bits.Of(accesses[0].Thing), accesses[0].Kind == AccessKind.Write ? bits.Of(accesses[0].Thing) : 0, accesses);

    private static (List<Told> Told, long Executions) Explore(IStrategy strategy, bool remembers)
    {
        var told = new List<Told>();
        var result = ExplorationPlan.Of(() => new WatchedScenario(new(Protocols.TextPokeBp), remembers, told)).Under(FetchModel.SdmWorst).By(strategy).Within(2000).Run();
        result.Counterexample.ShouldBeNull();
        return (told, result.Executions);
    }

    /// <summary>How many events of each kind a checker was told of in one execution.</summary>
    private readonly record struct Told(int Steps, int Fetches, int Stores, int Traps, int Returns);

    /// <summary>The plain situation, with one more checker.</summary>
    private sealed class WatchedScenario(PatchScenario watched, bool remembers, List<Told> told) : Scenario
    {
        public override string Name => watched.Name;

        public override Invariants CheckedUnder(FetchModel model) => watched.CheckedUnder(model);

        public override void LayOut(SmpMachine machine) => watched.LayOut(machine);

        public override void Begin(ScenarioRun run) => watched.Begin(run);

        public override IEnumerable<Checker> MakeCheckers() => [new Watcher(remembers, told)];
    }

    /// <summary>A CPU runs through code that another stores to, and nobody has named it a site.</summary>
    private sealed class UndeclaredStoreScenario : SmallScenario
    {
        public override string Name => "undeclared store";

        public override Invariants CheckedUnder(FetchModel model) => Invariants.None;

        public override void LayOut(SmpMachine machine)
        {
            base.LayOut(machine);
            machine.Memory.Load(Code, [0x90, 0x90, 0x90, 0x90, 0x0f, 0x05]); // four nops; syscall
        }

        public override void Begin(ScenarioRun run)
        {
            run.Machine.SystemCall = cpu => cpu.StopGuest();
            run.Machine.Cpus[0].Start("poke", [new PatchContext(run.Kernel, run.Machine.Cpus[0]).TextPoke(Code, new byte[] { 0x90 })]);
            run.Machine.Cpus[1].StartGuest(Code, Stack + 1024);
        }
    }

    private sealed class Watcher(bool remembers, List<Told> all) : Checker
    {
        private Told _told;

        public override Invariants Invariant => Invariants.None;

        public override bool WantsSteps => true;

        public override bool RemembersEvents => remembers;

        public override void Begin(ScenarioRun run) => _told = default;

        public override void OnStep(ScenarioRun run, Cpu cpu, KernelRoutine routine, KernelStep step) => _told = _told with { Steps = _told.Steps + 1 };

        public override void OnFetched(ScenarioRun run, Cpu cpu, GuestAddress rip, ReadOnlySpan<byte> bytes) => _told = _told with { Fetches = _told.Fetches + 1 };

        public override void OnCodeStored(ScenarioRun run, Cpu cpu, GuestAddress address, int length) => _told = _told with { Stores = _told.Stores + 1 };

        public override void OnTrapped(ScenarioRun run, Cpu cpu, TrapFrame frame) => _told = _told with { Traps = _told.Traps + 1 };

        public override void OnPatched(ScenarioRun run) => _told = _told with { Returns = _told.Returns + 1 };

        public override void End(ScenarioRun run) => all.Add(_told);
    }

    /// <summary>A strategy that has every execution run in full.</summary>
    private sealed class FromTheStart(IStrategy strategy) : IStrategy
    {
        public string Name => strategy.Name;

        public bool IsRandom => strategy.IsRandom;

        public ISearch Begin(Seed seed) => new Search(strategy.Begin(seed));

        private sealed class Search(ISearch search) : ISearch
        {
            public string Bound => search.Bound;

            public bool IsExhaustive => search.IsExhaustive;

            public bool TryBegin(long ordinal) => search.TryBegin(ordinal);

            public void Repeat(long ordinal) => search.Repeat(ordinal);

            public int ChooseTransition(List<Transition> enabled) => search.ChooseTransition(enabled);

            public int Choose(ChoicePoint point, int alternatives) => search.Choose(point, alternatives);

            public void Performed(ReadOnlySpan<Access> accesses) => search.Performed(accesses);

            public void End(ExecutionEnd end) => search.End(end);
        }
    }
}
