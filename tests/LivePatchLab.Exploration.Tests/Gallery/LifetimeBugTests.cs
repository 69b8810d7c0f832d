using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>B18 to B35: each is found by search, for the right reason, and is gone with its fix.</summary>
public class LifetimeBugTests
{
    private const int SeedsMax = 20_000;

    /// <summary>The bug, the invariants of which one is violated, and what the violation says.</summary>
    public static TheoryData<int, Invariants, string> Bugs => new()
    {
        { 18, Invariants.EffectIsOldOrNew, "overwrites the saved SS of its own exception frame" },
        { 19, Invariants.HandlerIsNotPatched, "#BP at ffffffff81000200 inside the handler of" },
        { 20, Invariants.HandlerIsNotPatched, "NMI" },
        { 21, Invariants.NothingTorn, "where the old code has 90 and the new code 0f1f00" },
        { 22, Invariants.NothingTorn, "neither the old 0f1f440000 nor the new e8" },
        { 23, Invariants.WaitsWithInterruptsOn, "CPU1 (interrupts off): #BP, spin until int3 is there is false" },
        { 24, Invariants.WaitsWithInterruptsOn, "lock text_mutex" },
        { 25, Invariants.DescriptorOutlivesHandlers, "poking_mm is NULL" },
        { 26, Invariants.DescriptorOutlivesHandlers, "writes another program over the half of the image at ffffffff81000400" },
        { 27, Invariants.DescriptorOutlivesHandlers, "#BP at ffffffff8100040c" },
        { 28, Invariants.NewAfterReturn, "bpf_arch_text_poke says -EBUSY" },
        { 29, Invariants.NewAfterReturn, "can still be given 0f1f440000" },
        { 30, Invariants.NothingTorn | Invariants.TrapsAreConsumed, "at ffffffff81000146" },
        { 31, Invariants.NothingTorn, "neither the old e8" },
        { 32, Invariants.NothingTorn, "neither the old e8" },
        { 33, Invariants.ForeignInt3Survives, "probe is armed, but its INT3 at ffffffff81000105 has been taken away" },
        { 34, Invariants.EffectIsOldOrNew, "in place of the instruction 31c0" },
    };

    [Theory]
    [MemberData(nameof(Bugs))]
    public void Depth_first_search_finds_the_bug_and_passes_the_fix(int number, Invariants invariant, string detail)
    {
        var (broken, mended) = Bug(number).Explore();
        broken.Verdict.ShouldBe(Verdict.Violation);
        (broken.Counterexample!.Violation.Invariant & invariant).ShouldNotBe(Invariants.None, $"{broken.Counterexample.Violation}");
        broken.Counterexample.Violation.Detail.ShouldContain(detail);
        mended.Verdict.ShouldBe(Verdict.Pass, $"{mended.Reason} {mended.Counterexample?.Violation} {string.Join('\n', mended.Counterexample?.Entries ?? [])}");
        mended.IsExhaustive.ShouldBeTrue();
    }

    [Theory]
    [MemberData(nameof(Bugs))]
    public void A_random_walk_finds_it_too(int number, Invariants invariant, string detail)
    {
        var found = ExplorationPlan.Of(Bug(number).Broken!).Under(Bug(number).Model).By(new RandomWalk()).Within(SeedsMax).Run().Counterexample.ShouldNotBeNull();
        (found.Violation.Invariant & invariant).ShouldNotBe(Invariants.None, $"{found.Violation}");
        found.Violation.Detail.ShouldContain(detail);
    }

    [Fact]
    public void What_has_no_scenario_says_what_the_lab_lacks()
    {
        var bug = Bug(35);
        bug.Broken.ShouldBeNull();
        bug.Missing.ShouldNotBeNullOrWhiteSpace();
        Should.Throw<InvalidOperationException>(() => bug.Explore()).Message.ShouldContain(bug.Missing);
    }

    [Fact]
    public void Two_cpus_that_sync_with_interrupts_off_wait_for_each_other_unless_they_turn_them_on()
    {
        var violation = Run(() => new SyncWithInterruptsOff(turnsOn: false)).Counterexample.ShouldNotBeNull().Violation;
        violation.Invariant.ShouldBe(Invariants.WaitsWithInterruptsOn);
        violation.Detail.ShouldContain("CPU0 (interrupts off): run_sync");
        violation.Detail.ShouldContain("CPU1 (interrupts off): run_sync");
        Run(() => new SyncWithInterruptsOff(turnsOn: true), () => new SyncWithInterruptsOff(turnsOn: false)).Verdict.ShouldBe(Verdict.Pass);
    }

    [Fact]
    public void The_modules_lock_and_text_mutex_need_one_order_as_well()
    {
        Run(() => new LockOrder(SecondLock.ModuleMutex, hasOneOrder: false)).Counterexample.ShouldNotBeNull().Violation.Detail.ShouldContain("lock module_mutex");
        Run(() => new LockOrder(SecondLock.ModuleMutex, hasOneOrder: true), () => new LockOrder(SecondLock.ModuleMutex, hasOneOrder: false)).Verdict.ShouldBe(Verdict.Pass);
    }

    [Theory]
    [InlineData("amd-async", 3, 6)]
    [InlineData("intel-practice", 6, 62)]
    public void A_displacement_is_torn_where_it_crosses_what_the_processor_fetches_whole(string model, int wholeAt, int tornAt)
    {
        var result = ExplorationPlan.Of(() => SetDestination.At(wholeAt)).Under(Model(model)).WithControl(() => SetDestination.At(tornAt)).Run();
        result.Verdict.ShouldBe(Verdict.Pass, result.Reason);
        result.Control!.Counterexample!.Violation.Invariant.ShouldBe(Invariants.NothingTorn);
    }

    [Theory]
    [InlineData(TextPokeBp.PhaseBreakpoint, Invariants.NothingTorn)]
    [InlineData(TextPokeBp.PhaseTail, Invariants.NothingTorn)]
    [InlineData(TextPokeBp.PhaseFirstByte, Invariants.NewAfterReturn)]
    public void Each_sync_that_is_left_out_is_missed_where_quadwords_may_be_stale_on_their_own(string phase, Invariants invariant)
        => ExplorationPlan.Of(() => DroppedSync.After(phase)).Under(FetchModel.AmdAsync).Run().Counterexample.ShouldNotBeNull().Violation.Invariant.ShouldBe(invariant);

    [Fact]
    public void The_middle_sync_is_not_missed_by_what_intels_processors_are_taken_to_do()
        => ExplorationPlan.Of(() => DroppedSync.AsSeenAfter(TextPokeBp.PhaseTail)).Under(FetchModel.IntelPractice)
            .WithControl(() => SetDestination.At(62)).Run().Verdict.ShouldBe(Verdict.Pass);

    [Fact]
    public void One_count_of_references_is_drawn_from_cpu_to_cpu_by_every_trap_and_a_count_for_each_is_not()
    {
        // B35: time is not modelled so finely, but who touched a count last is known.
        const int Executors = 4, Rounds = 40;
        var (globalTraps, globalTransfers) = CountTransfers(Protocols.TextPokeBpGlobalDesc, Executors, Rounds);
        var (traps, transfers) = CountTransfers(Protocols.TextPokeBpPerCpuRefs, Executors, Rounds);
        traps.ShouldBeGreaterThan(5 * Rounds);
        globalTransfers.ShouldBeGreaterThan(globalTraps / 2, $"{globalTraps} traps");

        // The patcher sets and drops each count once a round, and its CPU's first trap draws it back.
        transfers.ShouldBeLessThanOrEqualTo(2 * (Executors + 1) * Rounds, $"{traps} traps");
        (globalTransfers * traps).ShouldBeGreaterThan(2 * transfers * globalTraps);
    }

    private static (long Traps, long Transfers) CountTransfers(IPatchProtocol protocol, int executors, int rounds)
    {
        GuestAddress code = new(0xffffffff81000100), stacks = new(0xffffffff82000000);
        byte[] nop = FtraceRecords.NopReplace(), jump = [0xe9, 0, 0, 0, 0];
        using var machine = new SmpMachine(new MachineOptions { Cpus = executors + 1, Fetch = FetchModel.Ideal, Choices = new SeededChoices(new(1)), QuantumCyclesMax = 4 });
        machine.Memory.Map(code.AlignDown(GuestMemory.PageBytes), GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(stacks, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        machine.Memory.Load(code, [.. nop, 0xeb, 0xf9]); // jmp back to the site
        var kernel = new LinuxKernel(machine);
        var patcher = protocol.Attach(kernel);
        var context = new PatchContext(kernel, machine.Cpus[0]);
        long traps = 0, transfers = 0;
        var lastTouchedBy = new Dictionary<string, CpuId>();
        machine.Events.Trapped += _ => traps++;
        machine.Events.Stepped += e =>
        {
            if (e.Step.Describe() is not { } what || !(what.StartsWith("bp_desc.refs ", StringComparison.Ordinal) || what.StartsWith("bp_refs[", StringComparison.Ordinal))) return;
            var line = what[..what.IndexOf(' ')];
            if (lastTouchedBy.TryGetValue(line, out var last) && last != e.Cpu) transfers++;
            lastTouchedBy[line] = e.Cpu;
        };
        for (var i = 1; i <= executors; i++) machine.Cpus[i].StartGuest(code, stacks + (512 * i));
        machine.Run(machine.Cpus[0].Start("flip", Flip())).ShouldBe(MachineStop.Completed);
        return (traps, transfers);

        IEnumerable<KernelStep> Flip()
        {
            yield return context.TextMutex.Acquire();
            for (var i = 0; i < rounds; i++) yield return KernelStep.Call(patcher.Apply(context, [i % 2 == 0 ? new(code, nop, jump) : new(code, jump, nop)]));
            yield return context.TextMutex.Release();
        }
    }

    private static ExplorationResult Run(Func<Scenario> scenario, Func<Scenario>? control = null)
    {
        var plan = ExplorationPlan.Of(scenario).Under(FetchModel.Ideal);
        return (control is null ? plan : plan.WithControl(control)).Run();
    }

    private static HistoricalBug Bug(int number) => BugGallery.All.Single(bug => bug.Number == number);

    private static FetchModel Model(string name) => FetchModel.Presets.Single(m => m.Name == name);
}
