using LivePatchLab.Linux;
using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Patching.Tests;

/// <summary>Each peer's protocol changes a site that CPUs run through, under a model in which it promises that; and a twin that is wrong is caught by the same watching.</summary>
public sealed class PeerProtocolTests
{
    private const int Seeds = 25, SeedsMax = 150;

    /// <summary>Offsets of a site: two bytes before the end of a line, five before, in the middle of a word's grid.</summary>
    private const int Straddling = 62, FiveInWord = 5, Aligned = 0, HalfAligned = 4, InLine = 17;

    private static readonly FetchModel Bounded = FetchModel.SdmWorst with { Name = "line, bounded", AtomicChunkBytes = 64, StalenessBoundCycles = 1500 };
    private static readonly FetchModel Words = FetchModel.SdmWorst with { Name = "words", AtomicChunkBytes = 8 };

    [Theory]
    [InlineData(WordPatchHandler.Spin, Straddling)]
    [InlineData(WordPatchHandler.Retry, Straddling)]
    [InlineData(WordPatchHandler.Spin, InLine)]
    public void Word_patch_waits_instead_of_synchronising(WordPatchHandler handler, int offset)
    {
        long int3 = 0;
        foreach (var lab in Machines(Bounded, offset))
        {
            var outcome = ShouldBeGood(lab, new WordPatch(handler: handler));
            int3 += outcome.Int3Fetches;
            lab.Kernel.SyncRounds.ShouldBe(0);
            lab.NewCount.ShouldBeGreaterThan(0UL);
        }

        (int3 > 0).ShouldBe(offset == Straddling);
    }

    [Fact]
    public void Word_patch_that_waits_too_short_is_caught()
        => ShouldBeCaught(Bounded, Straddling, new WordPatch(waitCycles: 20), ViolationKind.TornInstruction);

    [Fact]
    public void Word_patch_of_one_store_is_caught_where_no_store_is_whole()
        => ShouldBeCaught(FetchModel.SdmWorst, InLine, new WordPatch(), ViolationKind.TornInstruction);

    [Fact]
    public void The_second_of_two_word_patchers_fails_at_its_cmpxchg()
    {
        using var lab = new PeerMachine(Bounded, 1, Straddling);
        lab.Machine.Memory.Load(lab.Site, [BreakpointState.Int3]);
        var outcome = lab.Apply(new WordPatch(), new PatchSite(lab.Site, lab.OldCall, lab.NewCall));
        outcome.Failure.ShouldBe(new PatchFailure(Errno.Ebusy, WordPatch.PhaseInt3, 0, lab.Site, Recovered: true));
        lab.Machine.Memory.Read(lab.Site, 1).ShouldBe([BreakpointState.Int3], "it is not this patcher's to remove");
    }

    [Fact]
    public void Native_client_guards_with_hlt_what_no_store_can_change_whole()
    {
        long guards = 0;
        foreach (var lab in Machines(Words, FiveInWord, isUser: true))
        {
            guards += ShouldBeGood(lab, new NaClDyncode(catchesGuard: true)).GuardFetches;
            lab.Kernel.SyncRounds.ShouldBe(2);
        }

        guards.ShouldBeGreaterThan(0);
    }

    [Fact]
    public void A_thread_that_meets_the_guard_of_native_client_dies_where_nobody_catches_it()
        => Outcomes(Words, FiveInWord, new NaClDyncode(), isUser: true).ShouldContain(o => o.Stop == MachineStop.Fault && o.Fault!.Contains("#GP", StringComparison.Ordinal) && o.Fault.Contains("hlt", StringComparison.Ordinal));

    [Theory]
    [InlineData(NaClDyncode.PhaseGuard)]
    [InlineData(NaClDyncode.PhaseTail)]
    public void Native_client_without_one_of_its_syncs_is_caught(string phase)
        => ShouldBeCaught(Words, FiveInWord, new NaClDyncode(catchesGuard: true).Without(phase), ViolationKind.TornInstruction, isUser: true);

    [Fact]
    public void Native_client_needs_no_guard_for_what_lies_in_one_word()
    {
        using var lab = new PeerMachine(Words, 1, FiveInWord);
        var changed = lab.OldCall.ToArray();
        changed[1] ^= 1;
        var outcome = lab.Apply(new NaClDyncode(), new PatchSite(lab.Site, lab.OldCall, changed));
        outcome.Failure.ShouldBeNull();
        (lab.Kernel.SyncRounds, lab.Kernel.TextBytesWritten).ShouldBe((0, 1));
        lab.Machine.Memory.Read(lab.Site, 5).ShouldBe(changed);
    }

    [Fact]
    public void Hotspot_has_others_jump_to_themselves_until_it_is_done()
    {
        long guards = 0;
        foreach (var lab in Machines(Words with { StalenessBoundCycles = 1500 }, Aligned))
        {
            guards += ShouldBeGood(lab, new HotSpotSelfLoop()).GuardFetches;
            lab.Kernel.SyncRounds.ShouldBe(0);
        }

        guards.ShouldBeGreaterThan(0, "somebody must have looped");
    }

    [Fact]
    public void Hotspot_on_a_site_that_two_words_share_is_caught()
        => ShouldBeCaught(Words, HalfAligned, new HotSpotSelfLoop(alignmentBytes: 4), ViolationKind.TornInstruction);

    [Theory]
    [InlineData(HalfAligned, 8)]
    [InlineData(60, 4)]
    [InlineData(InLine, 4)]
    public void Hotspot_refuses_sites_that_it_cannot_change(int offset, int alignment)
    {
        using var lab = new PeerMachine(Words, 1, offset);
        lab.Apply(new HotSpotSelfLoop(alignment), new PatchSite(lab.Site, lab.OldCall, lab.NewCall)).Failure!.Errno.ShouldBe(Errno.Einval);
        lab.Machine.Memory.Read(lab.Site, 5).ShouldBe(lab.OldCall);
    }

    [Fact]
    public void One_byte_is_whole_under_the_worst_model()
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            // test eax falls through to a ret; the jump counts as new.
            using var lab = FlipMachine(seed, out var off, out var on);
            var outcome = lab.Patch(new OneByteFlip(), new PatchSite(lab.Site, off, on));
            outcome.IsCaught.ShouldBeFalse($"seed {seed}: {outcome}");
            outcome.Failure.ShouldBeNull();
            lab.OldCount.ShouldBe(0UL);
            lab.NewCount.ShouldBeInRange(1UL, (ulong)(PeerMachine.Executors * PeerMachine.Passes));
            lab.Apply(new OneByteFlip(), new PatchSite(lab.Site, on, off)).Failure.ShouldBeNull();
            lab.Machine.Memory.Read(lab.Site, 5).ShouldBe(off);
        }
    }

    [Fact]
    public void A_flip_that_changes_the_tail_too_is_refused_and_done_by_one_store_is_caught()
    {
        using var lab = FlipMachine(1, out var off, out var on);
        var elsewhere = PeerMachine.Jump(OneByteFlip.Jump, lab.Site, PeerMachine.OldTarget);
        lab.Apply(new OneByteFlip(), new PatchSite(lab.Site, off, elsewhere)).Failure!.Errno.ShouldBe(Errno.Einval);
        lab.Apply(new OneByteFlip(), new PatchSite(lab.Site, on, off)).Failure!.Errno.ShouldBe(Errno.Ebusy);

        Enumerable.Range(1, SeedsMax).Select(seed =>
        {
            using var twin = FlipMachine((ulong)seed, out var from, out _, InLine);
            return twin.Patch(new WordPatch(), new PatchSite(twin.Site, from, PeerMachine.Jump(OneByteFlip.Jump, twin.Site, PeerMachine.OldTarget)));
        }).ShouldContain(o => o.Violation != null && o.Violation.Kind == ViolationKind.TornInstruction);
    }

    [Fact]
    public void A_data_slot_is_old_or_new_and_after_the_return_new()
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            using var lab = SlotMachine(seed, out var code);
            var outcome = lab.Patch(new DataSlot(), new PatchSite(PeerMachine.Slot, PeerMachine.Word(PeerMachine.OldTarget), PeerMachine.Word(PeerMachine.NewTarget)));
            outcome.IsCaught.ShouldBeFalse($"seed {seed}: {outcome}");
            lab.Total.ShouldBe((ulong)(PeerMachine.Executors * PeerMachine.Passes));
            lab.NewCount.ShouldBeGreaterThan(0UL);
            (lab.Kernel.SyncRounds, lab.Kernel.TextBytesWritten).ShouldBe((0, 0));
            lab.Machine.Memory.Read(lab.Site, code.Length).ShouldBe(code);
        }
    }

    [Fact]
    public void The_displacement_of_the_same_jump_changed_by_one_store_is_caught()
    {
        Enumerable.Range(1, SeedsMax).Select(seed =>
        {
            using var lab = SlotMachine((ulong)seed, out var code, InLine);
            var other = code.ToArray();
            (other[2], other[3]) = ((byte)(other[2] + 8), (byte)(other[3] + 1));
            lab.Machine.Memory.LoadUInt64(PeerMachine.Slot + 0x108, PeerMachine.NewTarget.Value);
            return lab.Patch(new WordPatch(), new PatchSite(lab.Site, code, other));
        }).ShouldContain(o => o.Violation != null && o.Violation.Kind == ViolationKind.TornInstruction);
    }

    [Fact]
    public void A_data_slot_that_is_none_is_refused()
    {
        using var lab = SlotMachine(1, out _);
        PatchSite Store(GuestAddress at) => new(at, new byte[8], new byte[8]);
        lab.Apply(new DataSlot(), Store(PeerMachine.Slot + 4)).Failure!.Errno.ShouldBe(Errno.Einval);
        lab.Apply(new DataSlot(), Store(PeerMachine.OldTarget)).Failure!.Errno.ShouldBe(Errno.Einval);
        lab.Apply(new DataSlot(), Store(new(0x10))).Failure!.Errno.ShouldBe(Errno.Efault);
    }

    [Fact]
    public void A_uprobe_becomes_a_call_around_its_int3_and_a_plain_one_again()
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            using var lab = new PeerMachine(FetchModel.SdmWorst, seed, Straddling, [0xcc, 0x1f, 0x44, 0, 0], isUser: true);
            byte[] plain = [0xcc, 0x1f, 0x44, 0, 0];
            var outcome = lab.Patch(new ArmedAtOnce(new UprobeInt3Update()), new PatchSite(lab.Site, plain, lab.NewCall));
            outcome.IsCaught.ShouldBeFalse($"seed {seed}: {outcome}");
            (lab.OldCount, lab.Kernel.SyncRounds).ShouldBe((0UL, 3));
            lab.NewCount.ShouldBeGreaterThan(0UL);
        }
    }

    [Fact]
    public void A_uprobe_whose_int3_is_gone_stays_as_it_is()
    {
        using var lab = new PeerMachine(FetchModel.SdmWorst, 1, InLine);
        var outcome = lab.Apply(new UprobeInt3Update(), new PatchSite(lab.Site, [0xcc, 0x1f, 0x44, 0, 0], lab.NewCall));
        outcome.Failure.ShouldBe(new PatchFailure(Errno.Einval, UprobeInt3Update.PhaseTail, 0, lab.Site, Recovered: false));
        lab.Machine.Memory.Read(lab.Site, 5).ShouldBe(lab.OldCall);
    }

    [Theory]
    [InlineData(UprobeInt3Update.PhaseTail, ViolationKind.TornInstruction)]
    [InlineData(UprobeInt3Update.PhaseFirstByte, ViolationKind.StaleAfterCompletion)]
    public void A_uprobe_update_without_one_of_its_syncs_is_caught(string phase, ViolationKind expected)
        => Enumerable.Range(1, SeedsMax).Select(seed =>
        {
            using var lab = new PeerMachine(FetchModel.SdmWorst, (ulong)seed, Straddling, [0xcc, 0x1f, 0x44, 0, 0]);
            return lab.Patch(new ArmedAtOnce(new UprobeInt3Update().Without(phase)), new PatchSite(lab.Site, [0xcc, 0x1f, 0x44, 0, 0], lab.NewCall));
        }).ShouldContain(o => o.Violation != null && o.Violation.Kind == expected);

    [Theory]
    [InlineData("word_patch", "I10", "I10", "I1, I2, I6, I9, I10")]
    [InlineData("nacl_dyncode", "I10", "I2, I10", "I2, I10")]
    [InlineData("hotspot_self_loop", "I10", "I2, I10", "I2, I6, I9, I10")]
    [InlineData("one_byte_flip", "I2, I9, I10", "I2, I9, I10", "I2, I6, I9, I10")]
    [InlineData("xray_sled", "I10", "I10", "I2, I9, I10")]
    [InlineData("data_slot", "I2, I6, I7, I9, I10, I11", "I2, I6, I7, I9, I10, I11", "I2, I6, I7, I9, I10, I11")]
    public void Each_promises_what_the_model_lets_it(string name, string worst, string words, string ideal)
        => new[] { FetchModel.SdmWorst, Words, FetchModel.Ideal }.Select(model => Protocols.Named(name).PromisesUnder(model).Show()).ShouldBe([worst, words, ideal]);

    [Fact]
    public void Word_patch_promises_where_staleness_ends_within_its_wait_and_not_where_it_does_not()
    {
        new WordPatch().PromisesUnder(Bounded).Show().ShouldBe("I1, I2, I9, I10");
        new WordPatch(waitCycles: 20).PromisesUnder(Bounded).Show().ShouldBe("I10");
    }

    private static PeerMachine FlipMachine(ulong seed, out byte[] off, out byte[] on, int offset = Straddling)
    {
        var site = new PeerMachine(FetchModel.SdmWorst, seed, offset);
        on = PeerMachine.Jump(OneByteFlip.Jump, site.Site, PeerMachine.NewTarget);
        off = [OneByteFlip.TestEax, .. on[1..]];
        site.Machine.Memory.Load(site.Site, off);
        return site;
    }

    private static PeerMachine SlotMachine(ulong seed, out byte[] code, int offset = Straddling)
    {
        var lab = new PeerMachine(FetchModel.SdmWorst, seed, offset);
        lab.Load(lab.Site, a => a.jmp(__qword_ptr[PeerMachine.Slot.Value]));
        code = lab.Machine.Memory.Read(lab.Site, 7);
        if (code[0] == 0xff && code[1] == 0x25) code = code[..6];
        return lab;
    }

    private static IEnumerable<PeerMachine> Machines(FetchModel fetch, int offset, bool isUser = false)
    {
        for (var seed = 1UL; seed <= Seeds; seed++)
        {
            using var lab = new PeerMachine(fetch, seed, offset, isUser: isUser);
            yield return lab;
        }
    }

    private static PeerOutcome ShouldBeGood(PeerMachine lab, IPatchProtocol protocol)
    {
        protocol.PromisesUnder(lab.Machine.Fetch).HasFlag(Invariants.NothingTorn | Invariants.EffectIsOldOrNew).ShouldBeTrue("what is tested must be promised");
        var outcome = lab.Patch(protocol, new PatchSite(lab.Site, lab.OldCall, lab.NewCall));
        outcome.IsCaught.ShouldBeFalse(outcome.ToString());
        outcome.Failure.ShouldBeNull();
        lab.Total.ShouldBe((ulong)(PeerMachine.Executors * PeerMachine.Passes), "every pass has the effect of the old or of the new");
        lab.Machine.Memory.Read(lab.Site, 5).ShouldBe(lab.NewCall);
        return outcome;
    }

    private static IEnumerable<PeerOutcome> Outcomes(FetchModel fetch, int offset, IPatchProtocol protocol, bool isUser = false)
    {
        for (var seed = 1UL; seed <= SeedsMax; seed++)
        {
            using var lab = new PeerMachine(fetch, seed, offset, isUser: isUser);
            yield return lab.Patch(protocol, new PatchSite(lab.Site, lab.OldCall, lab.NewCall));
        }
    }

    private static void ShouldBeCaught(FetchModel fetch, int offset, IPatchProtocol protocol, ViolationKind expected, bool isUser = false)
        => Outcomes(fetch, offset, protocol, isUser).FirstOrDefault(o => o.Violation?.Kind == expected).ShouldNotBeNull($"{SeedsMax} seeds showed no {expected}");

    /// <summary>The uprobe was there before: its handler knows the site from the first trap on.</summary>
    private sealed class ArmedAtOnce(IPatchProtocol protocol) : IPatchProtocol
    {
        public string Name => protocol.Name;

        public string Summary => protocol.Summary;

        public bool MaySkip => protocol.MaySkip;

        public Invariants PromisesUnder(FetchModel model) => protocol.PromisesUnder(model);

        public IPatcher Attach(LinuxKernel kernel)
        {
            kernel.RegisterInt3Handler(SkipNop);
            return protocol.Attach(kernel);
        }

        private static IEnumerable<KernelStep> SkipNop(Cpu cpu, TrapFrame regs)
        {
            yield return new Delay(1, "handle_swbp");
            regs.Rip += 4;
            regs.Consumed = true;
        }
    }
}
