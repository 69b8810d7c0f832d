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

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    public void Bytes_have_one_version_just_where_fetching_them_asks_nothing_of_chance(int chunkBytes)
    {
        var choices = new CountedChoices();
        var versions = With(FetchModel.SdmWorst with { AtomicChunkBytes = chunkBytes }, choices, cpus: 2);
        versions.Store(new(0), Code + 20, [1, 2, 3]);
        versions.Store(new(0), Code + 62, [1, 2, 3, 4]);
        for (var start = 0; start < 130; start++)
        {
            for (var length = 1; length <= 15; length++)
            {
                var asked = choices.Asked;
                var bytes = Fetch(versions, 1, Code + start, length);
                versions.HasOneVersion(Code + start, length).ShouldBe(choices.Asked == asked, $"{length} bytes from {start}");
                bytes.ShouldAllBe(value => value == 0, "the oldest version of each is what was there first");
            }
        }

        choices.Asked.ShouldBeGreaterThan(0);
        With(FetchModel.QemuTcg, choice: 0, cpus: 2).HasOneVersion(Code, 1).ShouldBeFalse("a captured block takes note of every fetch");
    }

    /// <summary>Behind the last line comes address 0; going over all the lines from there would take years.</summary>
    [Fact]
    public void The_last_line_of_all_has_an_end()
    {
        var last = MapLastLine();
        var versions = With(FetchModel.SdmWorst, choice: 0, cpus: 2);
        versions.Store(new(0), last + 60, [1]);
        versions.HasOneVersion(last, 60).ShouldBeTrue();
        versions.HasOneVersion(last - 10, 20).ShouldBeTrue();
        versions.HasOneVersion(last, 61).ShouldBeFalse();
        versions.HasOneVersion(last, 64).ShouldBeFalse("its end is address 0");
        versions.HasOneVersion(last + 61, 10).ShouldBeTrue("what follows is the first line of all");
    }

    [Fact]
    public void The_last_line_of_all_can_be_maintained()
    {
        var last = MapLastLine();
        var versions = With(FetchModel.ArmLike, choice: 0, cpus: 1);
        versions.Store(new(0), last, [1]);
        versions.Serialise(new(0));
        Fetch(versions, 0, last, 1).ShouldBe([0], "the control: nobody has maintained it");
        versions.Maintain(last, 64);
        versions.Serialise(new(0));
        Fetch(versions, 0, last, 1).ShouldBe([1]);
        versions.IsDirty(last).ShouldBeFalse();
    }

    [Fact]
    public void Thousands_of_lines_become_dirty_in_any_order_and_clean_together_again_and_again()
    {
        const int Pages = 300;
        _memory.Map(Code, Pages * GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        var versions = With(FetchModel.SdmWorst, choice: 0, cpus: 2);
        for (byte round = 1; round <= 3; round++)
        {
            // 7,919 is a prime, so that neighbours in time are none in space, and each line comes once.
            var lines = Enumerable.Range(0, 5_000).Select(i => i * 7_919 % (Pages * 64)).ToArray();
            foreach (var line in lines) versions.Store(new(0), Code + (line * 64L) + 60, [round]);
            versions.DirtyLineCount.ShouldBe(5_000);
            foreach (var line in lines.Take(50)) Fetch(versions, 1, Code + (line * 64L) + 60, 1).ShouldBe([(byte)(round - 1)], "the oldest version");
            Enumerable.Range(0, Pages * 64).Count(line => versions.IsDirty(Code + (line * 64L))).ShouldBe(5_000);

            versions.Serialise(new(1));
            versions.Serialise(new(0));
            versions.DirtyLineCount.ShouldBe(0);
            lines.ShouldAllBe(line => !versions.IsDirty(Code + (line * 64L)));
            Fetch(versions, 1, Code + (lines[0] * 64L) + 60, 1).ShouldBe([round]);
        }
    }

    [Fact]
    public void Where_lines_must_be_maintained_the_others_stay_dirty_with_what_they_were()
    {
        _memory.Map(Code, 4 * GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        var versions = With(FetchModel.ArmLike, choice: 0, cpus: 2);
        GuestAddress Line(int i) => Code + (i * 64L);
        for (var i = 0; i < 200; i++) versions.Store(new(0), Line(i), [(byte)(i + 1)]);
        for (var i = 0; i < 200; i += 3) versions.Maintain(Line(i), 1);
        versions.Serialise(new(0));
        versions.Serialise(new(1));

        versions.DirtyLineCount.ShouldBe(200 - 67);
        for (var i = 0; i < 200; i++)
        {
            versions.IsDirty(Line(i)).ShouldBe(i % 3 != 0, $"line {i}");
            Fetch(versions, 1, Line(i), 1).ShouldBe([i % 3 == 0 ? (byte)(i + 1) : (byte)0]);
        }

        for (var i = 0; i < 200; i++) versions.Maintain(Line(i), 1);
        versions.Serialise(new(0));
        versions.Serialise(new(1));
        versions.DirtyLineCount.ShouldBe(0);
        (_memory.PageFlags[GuestMemory.PageOf(Code)] & PageFlag.Dirty).ShouldBe(0);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(16)]
    [InlineData(40)]
    public void A_store_of_any_length_is_a_version_of_all_its_bytes(int length)
    {
        var versions = With(FetchModel.SdmWorst, choice: 1, cpus: 2);
        var first = Enumerable.Range(1, length).Select(i => (byte)i).ToArray();
        var second = first.Select(b => (byte)(b + 100)).ToArray();
        versions.Store(new(0), Code + 50, first);
        versions.Store(new(0), Code + 50, second);
        _memory.Read(Code + 50, length).ShouldBe(second);
        Fetch(versions, 1, Code + 50, Math.Min(length, 15)).ShouldBe(first.Take(15), "of three versions the middle one was chosen, byte by byte");
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

    /// <summary>The last line of all addresses, in a page that is there.</summary>
    private GuestAddress MapLastLine()
    {
        GuestAddress page = new(unchecked((ulong)-GuestMemory.PageBytes));
        _memory.Map(page, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        return page + (GuestMemory.PageBytes - 64);
    }

    private CodeVersions With(FetchModel model, int choice, int cpus) => With(model, new ConstantChoices(choice), cpus);

    private CodeVersions With(FetchModel model, IChoiceSource choices, int cpus) => new(_memory, model, choices, cpus, new StandingCpus());

    private static byte[] Fetch(CodeVersions versions, int cpu, GuestAddress address, int length)
    {
        versions.BeginFetch(new(cpu), address, retiredInRun: 0);
        return [.. Enumerable.Range(0, length).Select(i => (byte)versions.FetchByte(i))];
    }

    private sealed class CountedChoices : IChoiceSource
    {
        public int Asked { get; private set; }

        public int Choose(ChoicePoint point, int alternatives)
        {
            Asked++;
            return 0;
        }
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
