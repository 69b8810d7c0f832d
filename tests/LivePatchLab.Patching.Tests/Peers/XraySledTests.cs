using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching.Tests;

/// <summary>XRay's sleds are turned on and off under CPUs that go through them; what is wrong about it is caught by the same watching.</summary>
public sealed class XraySledTests
{
    private const int Seeds = 25, SeedsMax = 200, Straddling = 62, Function = 0x11223344;

    private static readonly FetchModel Words = FetchModel.SdmWorst with { Name = "words", AtomicChunkBytes = 8 };

    public static TheoryData<string> InOrder => [FetchModel.Ideal.Name, FetchModel.IntelPractice.Name, FetchModel.QemuTcg.Name];

    [Fact]
    public void A_sled_is_what_the_compiler_and_the_runtime_make_of_it()
    {
        var on = XraySled.On(new(0x401002), Function, new(0x402000));
        Convert.ToHexStringLower(XraySled.Empty()).ShouldBe("eb09660f1f840000020000");
        Convert.ToHexStringLower(on).ShouldBe("41ba44332211e8f30f0000");
        Convert.ToHexStringLower(XraySled.Off(on)).ShouldBe("eb0944332211e8f30f0000");
    }

    [Theory]
    [MemberData(nameof(InOrder))]
    public void It_is_turned_on_under_those_who_come_by(string model)
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            using var lab = Machine(ModelOf(model), seed);
            var outcome = lab.Patch(new XraySled(), new PatchSite(lab.Site, XraySled.Empty(), On(lab)));
            outcome.IsCaught.ShouldBeFalse($"seed {seed}: {outcome}");
            outcome.Failure.ShouldBeNull();
            lab.NewCount.ShouldBeInRange(1UL, (ulong)(PeerMachine.Executors * PeerMachine.Passes));
            lab.Machine.Memory.Read(lab.Site, XraySled.SledBytes).ShouldBe(On(lab));
            (lab.Kernel.SyncRounds, lab.Kernel.TextBytesWritten).ShouldBe((0, XraySled.SledBytes));
        }
    }

    [Theory]
    [MemberData(nameof(InOrder))]
    public void It_is_turned_off_under_those_who_come_by_by_two_bytes_alone(string model)
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            using var lab = Machine(ModelOf(model), seed);
            var on = On(lab);
            lab.Machine.Memory.Load(lab.Site, on);
            var outcome = lab.Patch(new XraySled(), new PatchSite(lab.Site, on, XraySled.Off(on)));
            outcome.IsCaught.ShouldBeFalse($"seed {seed}: {outcome}");
            outcome.Failure.ShouldBeNull();
            lab.NewCount.ShouldBeInRange(1UL, (ulong)(PeerMachine.Executors * PeerMachine.Passes) - 1);
            lab.Kernel.TextBytesWritten.ShouldBe(2);
            lab.Apply(new XraySled(), new PatchSite(lab.Site, XraySled.Off(on), on)).Failure.ShouldBeNull();
            lab.Machine.Memory.Read(lab.Site, XraySled.SledBytes).ShouldBe(on, "on again");
        }
    }

    [Theory]
    [InlineData(Straddling)]
    [InlineData(0)]
    public void Turned_on_where_words_may_be_stale_it_is_caught_wherever_it_lies(int offset)
    {
        new XraySled().PromisesUnder(Words).Show().ShouldBe("I10");
        Outcomes(Words, offset, _ => XraySled.Empty(), On, new XraySled()).ShouldContain(o => IsTorn(o));
    }

    [Theory]
    [MemberData(nameof(InOrder))]
    public void Turned_on_head_first_it_is_caught(string model)
    {
        // Where nothing is kept of what was fetched, nobody is told of it, and what the CPU then runs into shows it.
        Outcomes(ModelOf(model), Straddling, _ => XraySled.Empty(), On, new InOneOrder((0, 2), (2, 6), (6, 7), (7, 11)))
            .ShouldContain(o => model == FetchModel.Ideal.Name ? o.Stop == MachineStop.Fault : IsTorn(o));
    }

    [Fact]
    public void Turned_off_with_the_nops_written_back_it_is_caught_by_who_stands_between_the_two_instructions()
        => Outcomes(FetchModel.IntelPractice, Straddling, On, _ => XraySled.Empty(), new InOneOrder((0, 2), (2, 11))).ShouldContain(o => IsTorn(o));

    [Theory]
    [InlineData("word_patch", "intel-practice")]
    [InlineData("text_poke_bp", "sdm-worst")]
    public void A_call_over_two_nops_is_caught_by_who_stands_between_them_whatever_the_protocol(string protocol, string model)
        => Outcomes(ModelOf(model), 0, _ => [0x66, 0x90, 0x0f, 0x1f, 0x00], lab => lab.NewCall, Protocols.Named(protocol)).ShouldContain(o => IsTorn(o));

    [Theory]
    [InlineData(61, "at an odd address")]
    [InlineData(Straddling, "a call")]
    [InlineData(Straddling, "off with nops")]
    public void What_it_cannot_change_it_refuses(int offset, string what)
    {
        using var lab = Machine(FetchModel.IntelPractice, 1, offset);
        var on = On(lab);
        var failure = lab.Apply(new XraySled(), what switch
        {
            "a call" => new PatchSite(lab.Site, lab.OldCall, lab.NewCall),
            "off with nops" => new PatchSite(lab.Site, on, XraySled.Empty()),
            _ => new PatchSite(lab.Site, XraySled.Empty(), on),
        }).Failure;
        failure.ShouldBe(new PatchFailure(Errno.Einval, XraySled.PhaseBody, 0, lab.Site, Recovered: true));
        lab.Machine.Memory.Read(lab.Site, XraySled.SledBytes).ShouldBe(XraySled.Empty());
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, false)]
    [InlineData(4, false)]
    public void A_write_that_fails_leaves_the_jump_in_front_and_says_whether_anything_stands_behind_it(int write, bool recovered)
    {
        using var lab = Machine(FetchModel.IntelPractice, 1);
        lab.Kernel.Faults.Fail(FaultPoint.Write, write, Errno.Efault);
        var failure = lab.Apply(new XraySled(), new PatchSite(lab.Site, XraySled.Empty(), On(lab))).Failure.ShouldNotBeNull();
        (failure.Errno, failure.Recovered).ShouldBe((Errno.Efault, recovered));
        lab.Machine.Memory.Read(lab.Site, 2).ShouldBe([0xeb, 0x09]);
    }

    private static FetchModel ModelOf(string name) => FetchModel.Presets.Single(m => m.Name == name);

    private static PeerMachine Machine(FetchModel fetch, ulong seed, int offset = Straddling) => new(fetch, seed, offset, XraySled.Empty(), isUser: true);

    private static byte[] On(PeerMachine lab) => XraySled.On(lab.Site, Function, PeerMachine.NewTarget);

    private static bool IsTorn(PeerOutcome outcome) => outcome.Violation is { Kind: ViolationKind.TornInstruction };

    private static IEnumerable<PeerOutcome> Outcomes(FetchModel fetch, int offset, Func<PeerMachine, byte[]> oldCode, Func<PeerMachine, byte[]> newCode, IPatchProtocol protocol)
    {
        for (var seed = 1UL; seed <= SeedsMax; seed++)
        {
            using var lab = Machine(fetch, seed, offset);
            var old = oldCode(lab);
            lab.Machine.Memory.Load(lab.Site, [.. old, 0xc3]);
            yield return lab.Patch(protocol, new PatchSite(lab.Site, old, newCode(lab)));
        }
    }

    /// <summary>Parts of the new code, in an order that is wrong.</summary>
    private sealed class InOneOrder(params (int Start, int End)[] parts) : IPatchProtocol, IPatcher
    {
        public string Name => "in one order";

        public string Summary => Name;

        public bool MaySkip => false;

        public Invariants PromisesUnder(FetchModel model) => Invariants.NothingTorn;

        public IPatcher Attach(LinuxKernel kernel) => this;

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
            => parts.Select(part => kernel.ProbeKernelWrite(sites[0].Address + part.Start, sites[0].NewCode.AsMemory(part.Start, part.End - part.Start), TextMapping.IdentityAlias));
    }
}
