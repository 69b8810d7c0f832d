using FsCheck;
using FsCheck.Fluent;

namespace LivePatchLab.Machine.Tests;

public sealed unsafe class CodeVersionsTests : IDisposable
{
    private static readonly GuestAddress Code = new(0x400000);
    private readonly GuestMemory _memory = new();

    public CodeVersionsTests() => _memory.Map(Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);

    public void Dispose() => _memory.Dispose();

    [Fact]
    public void A_cpu_may_see_old_bytes_until_it_serialises()
    {
        var versions = With(FetchModel.SdmWorst, choice: 0, cpus: 2);
        versions.Store(new(0), Code, [0xcc]);
        Fetch(versions, 1, Code, 1).ShouldBe([0x00]);
        versions.IsDirty(Code).ShouldBeTrue();

        versions.Serialise(new(1));
        Fetch(versions, 1, Code, 1).ShouldBe([0xcc]);
        versions.IsDirty(Code).ShouldBeTrue("CPU 0 has not serialised yet");

        versions.Serialise(new(0));
        versions.IsDirty(Code).ShouldBeFalse();
        versions.DirtyLineCount.ShouldBe(0);
    }

    [Fact]
    public void Data_is_always_coherent()
    {
        var versions = With(FetchModel.SdmWorst, choice: 0, cpus: 2);
        versions.Store(new(0), Code, [1, 2, 3]);
        _memory.Read(Code, 3).ShouldBe([1, 2, 3]);
    }

    [Fact]
    public void Bytes_of_different_chunks_may_come_from_different_versions_and_those_of_one_chunk_never_do()
    {
        var scripted = new ScriptedChoices(1, 0);
        var torn = With(FetchModel.SdmWorst with { AtomicChunkBytes = 8 }, scripted, cpus: 2);
        var straddling = Code + 6;
        torn.Store(new(0), straddling, [1, 2, 3, 4]);
        Fetch(torn, 1, straddling, 4).ShouldBe([1, 2, 0, 0], "the chunk that ends at +8 is new, the one behind it is old");
        scripted.Asked.ShouldBe(2);
    }

    [Fact]
    public void Having_seen_the_new_a_cpu_never_sees_the_old_again()
    {
        var scripted = new ScriptedChoices(2);
        var versions = With(FetchModel.SdmWorst, scripted, cpus: 2);
        versions.Store(new(0), Code, [1]);
        versions.Store(new(0), Code, [2]);
        Fetch(versions, 1, Code, 1).ShouldBe([2]);
        Fetch(versions, 1, Code, 1).ShouldBe([2]);
        scripted.Asked.ShouldBe(1, "there is only one version left to see");
    }

    [Fact]
    public void Every_version_from_the_floor_on_can_be_seen()
    {
        for (var choice = 0; choice < 3; choice++)
        {
            var versions = With(FetchModel.SdmWorst, choice, cpus: 2);
            versions.Store(new(0), Code, [1]);
            versions.Store(new(0), Code, [2]);
            Fetch(versions, 1, Code, 1).ShouldBe([(byte)choice]);
            versions.Serialise(new(0));
            versions.Serialise(new(1));
            _memory.Load(Code, [0]);
        }
    }

    [Fact]
    public void A_staleness_bound_makes_old_versions_vanish()
    {
        var clock = 0L;
        var scripted = new ScriptedChoices(0);
        var versions = new CodeVersions(_memory, FetchModel.SdmWorst with { StalenessBoundCycles = 100 }, scripted, 2, new StandingCpus { Clock = () => clock });
        versions.Store(new(0), Code, [1]);
        clock = 99;
        Fetch(versions, 1, Code, 1).ShouldBe([0]);
        clock = 100;
        Fetch(versions, 1, Code, 1).ShouldBe([1]);
    }

    [Fact]
    public void The_ideal_model_knows_no_old_versions()
    {
        var versions = With(FetchModel.Ideal, new ScriptedChoices(), cpus: 2);
        versions.Store(new(0), Code, [1]);
        versions.IsDirty(Code).ShouldBeFalse();
        Fetch(versions, 1, Code, 1).ShouldBe([1]);
    }

    [Fact]
    public void A_guest_sees_its_own_stores_at_once()
    {
        var versions = With(FetchModel.SdmWorst, choice: 0, cpus: 2);
        versions.StoreByGuest(new(1), Code, [7, 8], retiredInRun: 1);
        Fetch(versions, 1, Code, 2).ShouldBe([7, 8]);
        Fetch(versions, 0, Code, 2).ShouldBe([0, 0]);
    }

    [Fact]
    public void A_cpu_that_is_offline_keeps_no_line_dirty()
    {
        var versions = With(FetchModel.SdmWorst, choice: 0, cpus: 3);
        versions.Store(new(0), Code, [1]);
        versions.Serialise(new(0));
        versions.TakeOffline(new(2));
        versions.IsDirty(Code).ShouldBeTrue();
        versions.Serialise(new(1));
        versions.IsDirty(Code).ShouldBeFalse();
    }

    [Fact]
    public void After_a_reset_no_line_is_dirty_no_cpu_offline_and_nothing_known()
    {
        var versions = With(FetchModel.SdmWorst, choice: 1, cpus: 2);
        versions.TakeOffline(new(0));
        versions.Store(new(0), Code, [1]);
        Fetch(versions, 1, Code, 1).ShouldBe([1]);
        versions.Reset();
        versions.NewestEpoch.ShouldBe(0);
        versions.IsDirty(Code).ShouldBeFalse();
        (_memory.PageFlags[GuestMemory.PageOf(Code)] & PageFlag.Dirty).ShouldBe(0);

        versions.Store(new(0), Code, [2]);
        versions.Serialise(new(1));
        versions.IsDirty(Code).ShouldBeTrue("CPU 0 is online again");
    }

    [Fact]
    public void Pages_that_cannot_be_executed_are_not_fetched_from()
    {
        var versions = With(FetchModel.Ideal, choice: 0, cpus: 1);
        versions.BeginFetch(new(0), Code + GuestMemory.PageBytes, retiredInRun: 0);
        versions.FetchByte(0).ShouldBe(-1);
    }

    [Fact]
    public void What_a_cpu_fetches_of_one_chunk_is_always_what_memory_held_at_some_time()
    {
        // Stores of random bytes at random places of one line, and fetches between them: each fetched chunk must be one that was
        // there since the fetching CPU last serialised. The history is kept here in the plainest way.
        var stores = Gen.Choose(0, 63).SelectMany(at => Gen.Choose(1, 8).SelectMany(n => Gen.Choose(0, 255).Select(v => (at, n: Math.Min(n, 64 - at), v))));
        var runs = Gen.Choose(0, 3).SelectMany(chunk => stores.ListOf().SelectMany(list => Gen.Choose(0, int.MaxValue).Select(seed => (chunkBytes: new[] { 1, 8, 16, 64 }[chunk], list, seed))));
        Prop.ForAll(runs.ToArbitrary(), run =>
        {
            using var memory = new GuestMemory();
            memory.Map(Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
            var choices = new SeededChoices(new((ulong)run.seed));
            var versions = new CodeVersions(memory, FetchModel.SdmWorst with { AtomicChunkBytes = run.chunkBytes }, choices, 2, new StandingCpus());
            var history = new List<byte[]> { memory.Read(Code, 64) };
            foreach (var (at, n, v) in run.list)
            {
                versions.Store(new(0), Code + at, Enumerable.Repeat((byte)v, n).ToArray());
                history.Add(memory.Read(Code, 64));
                if (choices.Choose(ChoicePoint.Workload, 4) == 0)
                {
                    versions.Serialise(new(1));
                    history.RemoveRange(0, history.Count - 1);
                }

                var start = choices.Choose(ChoicePoint.Workload, 64 / run.chunkBytes) * run.chunkBytes;
                var fetched = Fetch(versions, 1, Code + start, run.chunkBytes);
                if (!history.Any(h => h.AsSpan(start, run.chunkBytes).SequenceEqual(fetched))) return false;
            }

            return true;
        }).QuickCheckThrowOnFailure();
    }

    private CodeVersions With(FetchModel model, int choice, int cpus) => With(model, new ConstantChoices(choice), cpus);

    private CodeVersions With(FetchModel model, IChoiceSource choices, int cpus) => new(_memory, model, choices, cpus, new StandingCpus());

    private static byte[] Fetch(CodeVersions versions, int cpu, GuestAddress address, int length)
    {
        versions.BeginFetch(new(cpu), address, retiredInRun: 0);
        return [.. Enumerable.Range(0, length).Select(i => (byte)versions.FetchByte(i))];
    }

    private sealed class ConstantChoices(int choice) : IChoiceSource
    {
        public int Choose(ChoicePoint point, int alternatives) => Math.Min(choice, alternatives - 1);
    }

    private sealed class ScriptedChoices(params int[] script) : IChoiceSource
    {
        public int Asked { get; private set; }

        public int Choose(ChoicePoint point, int alternatives)
        {
            point.ShouldBe(ChoicePoint.FetchVersion);
            script[Asked].ShouldBeLessThan(alternatives);
            return script[Asked++];
        }
    }
}
