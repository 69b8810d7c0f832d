using FsCheck;
using FsCheck.Fluent;

namespace LivePatchLab.Machine.Tests;

/// <summary>What holds of all models, on programs of stores and fetches drawn at random and enumerated whole.</summary>
public class FetchModelPropertyTests
{
    private static readonly GuestAddress Code = new(0x400000);

    private enum Act
    {
        Store,
        Fetch,
        Run,
        Serialise,
    }

    private sealed record Event(Act Act, int At, int Length)
    {
        public override string ToString() => $"{Act} {At}+{Length}";
    }

    public static TheoryData<string, string> Stricter => new()
    {
        { "ideal", "intel-practice" },
        { "intel-practice", "amd-async" },
        { "amd-async", "sdm-worst" },
        { "amd-async", "arm-like" },
        { "qemu-tcg", "sdm-worst" },
    };

    [Theory]
    [MemberData(nameof(Stricter))]
    public void What_a_stricter_preset_shows_a_looser_one_shows_too(string stricter, string looser)
        => Prop.ForAll(Programs, program => IsWithin(Named(stricter), Named(looser), program)).QuickCheckThrowOnFailure();

    [Fact]
    public void The_control_finds_what_only_the_looser_model_shows()
    {
        foreach (var (stricter, looser) in Stricter.Select(row => ((string)row[0], (string)row[1])))
            Should.Throw<Exception>(() => Prop.ForAll(Programs, program => IsWithin(Named(looser), Named(stricter), program)).Check(Config.QuickThrowOnFailure.WithMaxTest(1000)), $"{looser} shows no more than {stricter}");
    }

    [Theory]
    [InlineData(RemoteSnoop.None)]
    [InlineData(RemoteSnoop.InvalidateFetchable)]
    public void Each_knob_that_is_turned_up_shows_more_and_never_less(RemoteSnoop snoop)
    {
        var tight = FetchModel.SdmWorst with { RemoteSnoop = snoop, QueueDepth = 1, AtomicChunkBytes = 8 };
        FetchModel[] ladder =
        [
            tight with { QueueDepth = 0, LocalSmc = LocalSmc.SamePhysical },
            tight with { QueueDepth = 0 },
            tight,
            tight with { QueueDepth = 2 },
            tight with { QueueDepth = 2, WindowBytes = 16 },
            tight with { QueueDepth = 2, WindowBytes = 16, MicroOpCacheLines = 2 },
            tight with { QueueDepth = null },
            tight with { QueueDepth = null, AtomicChunkBytes = 1 },
            tight with { QueueDepth = null, AtomicChunkBytes = 1, RemoteSnoop = RemoteSnoop.None },
            tight with { QueueDepth = null, AtomicChunkBytes = 1, RemoteSnoop = RemoteSnoop.None, IcacheCoherent = false },
        ];
        Prop.ForAll(Programs, program => ladder.Zip(ladder.Skip(1)).All(pair => IsWithin(pair.First, pair.Second, program))).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Having_seen_the_newer_a_cpu_is_never_given_the_older_whatever_the_model()
    {
        var runs = from model in Gen.Elements(Models) from events in Sequence(2, 12) from seed in Gen.Choose(0, int.MaxValue) select (model, events, seed);
        Prop.ForAll(runs.ToArbitrary(), run =>
        {
            var given = new List<(int At, byte Value)>();
            Play(run.model, new SeededChoices(new((ulong)run.seed)), run.events, (at, value) => given.Add((at, value)));
            return NeverGoesBack(given);
        }).QuickCheckThrowOnFailure();
        NeverGoesBack([(3, 1), (4, 0), (3, 0)]).ShouldBeFalse("control: the second look at 3 is older than the first");
    }

    [Fact]
    public void After_a_reset_everything_is_as_in_a_new_machine()
    {
        var runs = from model in Gen.Elements(Models) from before in Sequence(1, 8) from after in Sequence(1, 8) from seed in Gen.Choose(0, int.MaxValue) select (model, before, after, seed);
        Prop.ForAll(runs.ToArbitrary(), run =>
        {
            using var used = new Stage(run.model);
            used.Play(run.before, new SeededChoices(new(7)), (_, _) => { });
            used.Reset();
            var again = new List<byte>();
            used.Play(run.after, new SeededChoices(new((ulong)run.seed)), (_, value) => again.Add(value));
            var fresh = new List<byte>();
            Play(run.model, new SeededChoices(new((ulong)run.seed)), run.after, (_, value) => fresh.Add(value));
            return again.SequenceEqual(fresh);
        }).QuickCheckThrowOnFailure();
    }

    private static IEnumerable<FetchModel> Models =>
    [
        .. FetchModel.Presets,
        FetchModel.SdmWorst with { QueueDepth = 1, WindowBytes = 16, MicroOpCacheLines = 1 },
        FetchModel.AmdAsync with { QueueDepth = 3, MicroOpCacheLines = 2, LocalSmc = LocalSmc.SamePhysical },
        FetchModel.SdmWorst with { RemoteSnoop = RemoteSnoop.InvalidateFetchable },
    ];

    private static Arbitrary<Event[]> Programs => Sequence(2, 6).Where(p => p.Count(e => e.Act == Act.Store) <= 2 && p.Where(e => e.Act == Act.Fetch).Sum(e => e.Length) <= 6).ToArbitrary();

    /// <summary>Around the border of two lines, and of four quadwords.</summary>
    private static Gen<Event[]> Sequence(int least, int most)
    {
        var one = from act in Gen.Elements(Act.Store, Act.Store, Act.Fetch, Act.Fetch, Act.Fetch, Act.Run, Act.Serialise)
                  from at in Gen.Choose(53, 70)
                  from length in Gen.Choose(1, 4)
                  select new Event(act, at, length);
        return Gen.Choose(least, most).SelectMany(count => one.ArrayOf(count));
    }

    private static bool IsWithin(FetchModel stricter, FetchModel looser, Event[] program) => Outcomes(stricter, program).IsSubsetOf(Outcomes(looser, program));

    private static HashSet<string> Outcomes(FetchModel model, Event[] program) => [.. ExhaustiveChoices.Of(choices =>
    {
        var given = new List<byte>();
        Play(model, choices, program, (_, value) => given.Add(value));
        return Convert.ToHexString([.. given]);
    }).Outcomes];

    private static void Play(FetchModel model, IChoiceSource choices, Event[] events, Action<int, byte> given)
    {
        using var stage = new Stage(model);
        stage.Play(events, choices, given);
    }

    private static bool NeverGoesBack(IEnumerable<(int At, byte Value)> given)
    {
        var last = new Dictionary<int, byte>();
        foreach (var (at, value) in given)
        {
            if (last.TryGetValue(at, out var before) && value < before) return false;
            last[at] = value;
        }

        return true;
    }

    private static FetchModel Named(string name) => FetchModel.Presets.First(model => model.Name == name);

    /// <summary>Two CPUs: 0 stores, each time bytes that are one greater; 1 executes one instruction a fetch, straight on where its address says so.</summary>
    private sealed class Stage : IDisposable, IChoiceSource
    {
        private readonly GuestMemory _memory = new();
        private readonly StandingCpus _cpus = new();
        private readonly CodeVersions _versions;
        private IChoiceSource _choices = new SeededChoices(new(1));

        public Stage(FetchModel model)
        {
            _memory.Map(Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
            _versions = new(_memory, model, this, 2, _cpus);
        }

        public int Choose(ChoicePoint point, int alternatives) => _choices.Choose(point, alternatives);

        public void Play(Event[] events, IChoiceSource choices, Action<int, byte> given)
        {
            _choices = choices;
            byte stored = 0;
            foreach (var (act, at, length) in events)
            {
                switch (act)
                {
                    case Act.Store:
                        stored++;
                        _versions.Store(new(0), Code + at, Enumerable.Repeat(stored, length).ToArray());
                        break;
                    case Act.Fetch:
                        _versions.BeginFetch(new(1), Code + at, retiredInRun: 0);
                        var bytes = new byte[length];
                        for (var i = 0; i < length; i++) given(at + i, bytes[i] = (byte)_versions.FetchByte(i));
                        _versions.EndFetch(bytes, isBranch: false, isObserved: true);
                        Retire(at + length);
                        break;
                    case Act.Run:
                        Retire(at);
                        break;
                    default:
                        _versions.Serialise(new(1));
                        break;
                }
            }
        }

        public void Reset()
        {
            _memory.Load(Code, new byte[GuestMemory.PageBytes]);
            _cpus.Retired.Clear();
            _cpus.Next.Clear();
            _versions.Reset();
            _versions.DirtyLineCount.ShouldBe(0);
        }

        public void Dispose() => _memory.Dispose();

        private void Retire(int next)
        {
            _cpus.Retired[1] = _cpus.RetiredBy(new(1)) + 1;
            _cpus.Next[1] = Code + next;
        }
    }
}
