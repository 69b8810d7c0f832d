using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>A machine, its kernel and what a scenario keeps are put back in place for each execution, and nobody may be able to tell them from new ones.</summary>
public sealed class RestartTests
{
    private static readonly GuestAddress Code = new(0xffffffff81000000), Data = new(0xffffffff82000000);

    public static TheoryData<string> KernelProtocols() => [.. Protocols.Kernel.Select(p => p.Name)];

    [Theory]
    [MemberData(nameof(KernelProtocols))]
    public void An_execution_of_a_protocol_is_the_same_on_a_machine_that_ran_others_and_on_a_new_one(string name)
    {
        var protocol = Protocols.Kernel.First(p => p.Name == name);
        Compare(() => new PatchScenario(protocol, new() { Sites = 2, ForeignInt3 = true }), FetchModel.AmdAsync, executions: 24);
    }

    [Fact]
    public void An_execution_is_the_same_behind_those_that_ended_in_the_middle()
        => Compare(() => new PatchScenario(Protocols.TextPokeBp.Without(TextPokeBp.PhaseBreakpoint)), FetchModel.SdmWorst, executions: 200).ShouldBeInRange(1, 199);

    [Fact]
    public void Every_litmus_test_begins_as_if_it_were_the_first_time()
    {
        foreach (var file in Directory.EnumerateFiles(Path.Combine(LabFolder.Root, "data", "litmus"), "*.litmus", SearchOption.AllDirectories).Order())
        {
            var test = LitmusFile.Open(file);
            Compare(() => new LitmusScenario(test), LitmusPlan.ModelFor(test, FetchModel.SdmWorst), executions: 12);
        }
    }

    [Fact]
    public void Memory_is_brought_back_whoever_wrote_to_it()
    {
        using var machine = new SmpMachine(new() { Cpus = 2, Costs = ScenarioMachine.Untimed, Fetch = FetchModel.AmdAsync, Engine = ExecutionEngine.Interpreter });
        var memory = machine.Memory;
        memory.Map(Code, 2 * GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        memory.Map(Data, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        memory.Load(Code, [0x49, 0xff, 0xc4, 0x50, 0xf4]); // inc r12; push rax; hlt
        var first = machine.TakeSnapshot();
        machine.Restore(first);
        var before = machine.Hash();

        machine.TryStoreCode(machine.Cpus[0], Code + 62, [1, 2, 3, 4]).ShouldBeTrue();
        machine.Cpus[1].StartGuest(Code, Data + 256);
        while (Step(machine))
        {
        }

        memory.Load(Code + GuestMemory.PageBytes - 3, [5, 6, 7, 8, 9, 10]);
        memory.LoadUInt64(Data + 1024, 11);
        BroughtBack(machine, first, before);

        // More lines than are kept one by one.
        memory.Load(Code, new byte[2 * GuestMemory.PageBytes]);
        BroughtBack(machine, first, before);

        // A page that could be written to for a while.
        memory.Map(Code, 2 * GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        memory.Load(Code + 128, [12]);
        memory.Map(Code, 2 * GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        BroughtBack(machine, first, before);

        // Between two moments, to and fro.
        memory.Load(Code + 700, [13]);
        var second = machine.TakeSnapshot();
        machine.Restore(second);
        var later = machine.Hash();
        later.ShouldNotBe(before);
        memory.Load(Code + 1400, [14]);
        BroughtBack(machine, first, before);
        memory.Load(Code + 2100, [15]);
        BroughtBack(machine, second, later);
        BroughtBack(machine, first, before);
    }

    [Fact]
    public void The_places_of_a_path_that_conflict_are_those_that_a_look_at_each_finds()
    {
        var (chance, bits, places) = (new SeededChoices(new(7)), new ThingBits(), new PathPlaces());
        var path = new List<DepthFirstNode>();
        var longest = 0;
        for (var round = 0; round < 400; round++)
        {
            // Mostly the end of the path is taken back, and now and then most of it.
            var length = path.Count > 200 ? chance.Choose(ChoicePoint.Schedule, 100) : path.Count - chance.Choose(ChoicePoint.Schedule, Math.Min(path.Count, 20) + 1);
            places.RemoveFrom(length, path.Count);
            path.RemoveRange(length, path.Count - length);
            for (var grown = chance.Choose(ChoicePoint.Schedule, 30); grown > 0; grown--)
            {
                path.Add(NodeOf(chance, bits));
                places.Add(path.Count - 1, path[^1]);
            }

            longest = Math.Max(longest, path.Count);
            var node = NodeOf(chance, bits);
            var found = Enumerable.Range(0, path.Count).Where(i => (places.ConflictsOf(node, i / 64) >> (i % 64) & 1) != 0).ToList();
            found.ShouldBe(Enumerable.Range(0, path.Count).Where(i => path[i].Actor != node.Actor && path[i].ConflictsWith(node)));
            Enumerable.Range(0, path.Count).Where(i => (places.ReleasesOf(i / 64) >> (i % 64) & 1) != 0).ShouldBe(Enumerable.Range(0, path.Count).Where(i => path[i].Releases));
        }

        longest.ShouldBeGreaterThan(2 * PathPlaces.PlacesPerWord);
    }

    private static DepthFirstNode NodeOf(SeededChoices chance, ThingBits bits)
    {
        var node = new DepthFirstNode(bits) { Actor = chance.Choose(ChoicePoint.Schedule, 4) };
        node.Note([new(Thing(), AccessKind.Read), new(Thing(), AccessKind.Write), new(Thing(), (AccessKind)chance.Choose(ChoicePoint.Schedule, 4))]);
        return node;

        uint Thing() => (uint)chance.Choose(ChoicePoint.Schedule, 40);
    }

    private static bool Step(SmpMachine machine)
    {
        var enabled = new List<Transition>();
        machine.CollectTransitions(enabled);
        if (enabled.Count == 0) return false;
        machine.Perform(enabled[0]);
        return true;
    }

    private static void BroughtBack(SmpMachine machine, MachineSnapshot snapshot, StateHash expected)
    {
        machine.Hash().ShouldNotBe(expected);
        machine.Restore(snapshot);
        machine.Hash().ShouldBe(expected);
    }

    /// <summary>Gives how many of them were violated.</summary>
    private static int Compare(Func<Scenario> make, FetchModel model, int executions)
    {
        var walk = new RandomWalk().Begin(new(3));
        using var used = new ScenarioMachine(make(), model) { ForgetsStores = true };
        var violated = 0;
        for (var i = 0; i < executions; i++)
        {
            using var fresh = new ScenarioMachine(make(), model) { ForgetsStores = true };
            walk.TryBegin(i);
            var end = used.Execute(walk, records: false);
            walk.TryBegin(i);
            fresh.Execute(walk, records: false).ShouldBe(end);
            used.Transitions.ShouldBe(fresh.Transitions);
            used.Machine.Hash().ShouldBe(fresh.Machine.Hash());
            used.Run.Violation.ShouldBe(fresh.Run.Violation);
            used.Run.Kernel.SyncRounds.ShouldBe(fresh.Run.Kernel.SyncRounds);
            used.Run.Kernel.TextBytesWritten.ShouldBe(fresh.Run.Kernel.TextBytesWritten);
            used.Machine.Accounts.Phases.Select(p => (p.Name, p.Total())).ShouldBe(fresh.Machine.Accounts.Phases.Select(p => (p.Name, p.Total())));
            if (used.Run.Violation is not null) violated++;
        }

        return violated;
    }
}
