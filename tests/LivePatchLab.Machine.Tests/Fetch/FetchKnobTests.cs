namespace LivePatchLab.Machine.Tests;

/// <summary>Each knob of the fetch model, from outside: all outcomes of a small case, against those derived by hand from the rules.</summary>
public class FetchKnobTests
{
    private const byte Nop = 0x90, Hlt = 0xf4;

    private static readonly FetchModel Bytewise = new() { Name = "bytewise", Description = "test", AtomicChunkBytes = 1 };

    /// <summary>0: nop; 1: nop; 2: mov al, 1; 3: mov bl, 1; 4: hlt. Instruction 2 is at 2, and the immediates are at 3 and 5.</summary>
    private static FetchScene TwoMoves => new() { Guest = [Nop, Nop, 0xb0, 1, 0xb3, 1, Hlt] };

    [Theory]
    [InlineData(0, "2 2")]
    [InlineData(1, "2 2")]
    [InlineData(2, "1 2|2 2")]
    [InlineData(3, "1 1|1 2|2 1|2 2")]
    [InlineData(256, "1 1|1 2|2 1|2 2")]
    [InlineData(null, "1 1|1 2|2 1|2 2")]
    public void An_instruction_is_captured_no_earlier_than_the_one_that_stands_a_queue_before_it(int? depth, string expected)
    {
        // The store comes when one instruction has retired. The first move is number 2 and may be as it was when number 2 - depth executed.
        var scene = TwoMoves.Store(1, 3, 2, 0xb3, 2);
        scene.Outcomes(Bytewise with { QueueDepth = depth }).ShouldBe(expected.Split('|'));
    }

    [Fact]
    public void Instructions_that_a_kernel_routine_takes_the_time_of_do_not_count()
    {
        var scene = new FetchScene { Guest = [Nop, Nop, 0xb0, 1, Hlt], Prologue = () => [new Delay(50 * FetchScene.InstructionCycles)] }.Store(1, 3, 2);
        scene.Outcomes(Bytewise with { QueueDepth = 3 }).ShouldBe(["1 0", "2 0"]);
        scene.Outcomes(Bytewise with { QueueDepth = 1 }).ShouldBe(["2 0"]);
    }

    [Fact]
    public void Where_stores_drop_what_is_not_decoded_instructions_are_captured_in_order()
    {
        // First the second move's immediate is stored, then the first one's: whoever has seen the later store sees the earlier one.
        var scene = TwoMoves.Store(1, 5, 2).Store(1, 3, 2);
        scene.Outcomes(Bytewise).ShouldBe(["1 1", "1 2", "2 1", "2 2"]);
        scene.Outcomes(Bytewise with { RemoteSnoop = RemoteSnoop.InvalidateFetchable }).ShouldBe(["1 1", "1 2", "2 2"]);
        scene.Outcomes(Bytewise with { RemoteSnoop = RemoteSnoop.InvalidateFetchable, QueueDepth = 2 }).ShouldBe(["1 2", "2 2"]);
        scene.Outcomes(Bytewise with { RemoteSnoop = RemoteSnoop.FlushAll }).ShouldBe(["2 2"]);
    }

    [Fact]
    public void Where_stores_drop_what_is_not_decoded_an_instruction_comes_from_one_moment_but_one_store_may_tear()
    {
        // mov eax, imm32 with its first three bytes in one quadword and the last two in the next.
        var whole = RemoteSnoop.InvalidateFetchable;
        var model = Bytewise with { AtomicChunkBytes = 8 };
        FetchScene Scene() => new() { Guest = [Nop, 0xb8, 1, 1, 1, 1, Hlt], Place = FetchScene.Code + 4, Start = FetchScene.Code + 4, Outcome = cpu => $"{cpu.Registers[0]:x8}" };

        var behindFirst = Scene().Store(1, 8, 2, 2).Store(1, 6, 2, 2);
        behindFirst.Outcomes(model).ShouldBe(["01010101", "01010202", "02020101", "02020202"]);
        behindFirst.Outcomes(model with { RemoteSnoop = whole }).ShouldBe(["01010101", "02020101", "02020202"]);

        var atOnce = Scene().Store(1, 6, 2, 2, 2, 2);
        atOnce.Outcomes(model with { RemoteSnoop = whole }).ShouldBe(["01010101", "01010202", "02020101", "02020202"]);
        atOnce.Outcomes(model with { RemoteSnoop = whole, AtomicChunkBytes = 64 }).ShouldBe(["01010101", "02020202"]);
    }

    [Theory]
    [InlineData(null, "2 2")]
    [InlineData(16, "1 2|2 2")]
    [InlineData(32, "1 1|1 2|2 1|2 2")]
    public void Straight_code_in_a_window_is_as_old_as_the_entry_of_the_window(int? window, string expected)
    {
        // The moves stand 16 bytes apart; the store comes when the CPU has executed the first NOP of the window.
        var scene = new FetchScene { Guest = [Nop, 0xb0, 1, .. Enumerable.Repeat(Nop, 13), 0xb3, 1, Hlt] }.Store(1, 2, 2).Store(1, 17, 2);
        scene.Outcomes(Bytewise with { QueueDepth = 0, WindowBytes = window }).ShouldBe(expected.Split('|'));
    }

    [Fact]
    public void A_taken_branch_captures_its_target_anew()
    {
        // 0: nop; 1: jmp over one byte; 2: mov al, 1. A store before the jump has been captured after it; one behind the jump not.
        byte[] guest = [Nop, 0xeb, 1, Hlt, 0xb0, 1, Hlt];
        var model = Bytewise with { QueueDepth = 0, WindowBytes = 16 };
        new FetchScene { Guest = guest }.Store(1, 5, 2).Outcomes(model).ShouldBe(["2 0"]);
        new FetchScene { Guest = guest }.Store(2, 5, 2).Outcomes(model).ShouldBe(["1 0", "2 0"]);
    }

    [Fact]
    public void A_handler_and_the_way_back_from_it_capture_anew_even_where_they_do_not_serialise()
    {
        // mov al, 1 is captured with the NOP before the store; an IPI between them drops it.
        var model = Bytewise with { QueueDepth = 0, WindowBytes = 16, Serialising = SerialisingEvents.Instruction };
        FetchScene Scene() => new FetchScene { Guest = [Nop, Nop, 0xb0, 1, 0xf4, 0xeb, 0xfd] }.Store(1, 3, 2);
        Scene().Outcomes(model).ShouldBe(["1 0", "2 0"]);
        Scene().Do(1, () => new CallFunction(new NoFunction(), wait: true)).Outcomes(model).ShouldBe(["2 0"]);
    }

    [Theory]
    [InlineData(0, RemoteSnoop.None, "23")]
    [InlineData(1, RemoteSnoop.None, "13|23|3")]
    [InlineData(1, RemoteSnoop.InvalidateFetchable, "23")]
    public void What_is_kept_decoded_may_be_executed_again_unless_the_store_dropped_it(int lines, RemoteSnoop snoop, string expected)
    {
        // add bl, 1 three times in a loop; its immediate becomes 0x11 while the first round is on its last instruction.
        var scene = Loop([0x80, 0xc3, 1, 0xff, 0xc9, 0x75, 0xf9, Hlt]).Store(2, 2, 0x11);
        scene.Outcomes(Bytewise with { QueueDepth = 0, MicroOpCacheLines = lines, RemoteSnoop = snoop }).ShouldBe(expected.Split('|'));
    }

    [Fact]
    public void Serialising_drops_what_is_kept_decoded()
    {
        // The same loop with SERIALIZE in it.
        var scene = Loop([0x80, 0xc3, 1, 0x0f, 0x01, 0xe8, 0xff, 0xc9, 0x75, 0xf6, Hlt]).Store(2, 2, 0x11);
        scene.Outcomes(Bytewise with { QueueDepth = 0, MicroOpCacheLines = 4 }).ShouldBe(["13", "23"], "the store comes behind SERIALIZE: the second round may be old, the third not");
        scene = Loop([0x80, 0xc3, 1, 0x0f, 0x01, 0xe8, 0xff, 0xc9, 0x75, 0xf6, Hlt]).Store(1, 2, 0x11);
        scene.Outcomes(Bytewise with { QueueDepth = 0, MicroOpCacheLines = 4 }).ShouldBe(["23"]);
    }

    [Theory]
    [InlineData(1, "2 1|2 2")]
    [InlineData(2, "1 1|1 2|2 1|2 2")]
    public void The_line_that_became_dirty_longest_ago_is_forgotten_first(int lines, string expected)
    {
        // nop; jmp to mov bl, 1; jmp to mov al, 1; each in a line of its own, and that of the last is stored to first.
        byte[] guest = [0xb0, 1, Hlt, .. new byte[61], 0xb3, 1, 0xeb, 0xbc, .. new byte[60], Nop, 0xeb, 0xbd];
        var scene = new FetchScene { Guest = guest, Start = FetchScene.Code + 128 }.Store(1, 1, 2).Store(1, 65, 2);
        scene.Outcomes(Bytewise with { QueueDepth = 0, MicroOpCacheLines = lines }).ShouldBe(expected.Split('|'));
    }

    [Theory]
    [InlineData(LocalSmc.SameLinear, "1 0|2 0", "2 0")]
    [InlineData(LocalSmc.SamePhysical, "2 0", "2 0")]
    [InlineData(LocalSmc.None, "1 0|2 0", "1 0|2 0")]
    public void Whether_a_cpu_sees_its_own_stores_depends_on_how_it_stores(LocalSmc smc, string byAlias, string byAddress)
    {
        var model = Bytewise with { LocalSmc = smc };
        new FetchScene { Guest = [Nop, 0xb0, 1, Hlt], Prologue = () => [new StoreCode(FetchScene.Code + 2, new byte[] { 2 }, 0)] }.Outcomes(model).ShouldBe(byAlias.Split('|'));

        // mov byte ptr [rip + 1], 2, and behind it the mov al, 1 that it changes.
        new FetchScene { Guest = [0xc6, 0x05, 1, 0, 0, 0, 2, 0xb0, 1, Hlt] }.Outcomes(model).ShouldBe(byAddress.Split('|'));
    }

    [Fact]
    public void Its_own_store_and_the_queue_are_counted_to_the_instruction()
    {
        // mov byte ptr [rip + 2], 2; nop; mov al, 1. The store is in instruction 0 and seen by whatever is captured after that.
        var scene = new FetchScene { Guest = [0xc6, 0x05, 2, 0, 0, 0, 2, Nop, 0xb0, 1, Hlt] };
        var model = Bytewise with { LocalSmc = LocalSmc.None };
        scene.Outcomes(model with { QueueDepth = 1 }).ShouldBe(["2 0"]);
        scene.Outcomes(model with { QueueDepth = 2 }).ShouldBe(["1 0", "2 0"]);
    }

    [Theory]
    [InlineData(SerialisingEvents.Architectural, "1 0|2 0")]
    [InlineData(SerialisingEvents.Architectural | SerialisingEvents.SystemReturn, "2 0")]
    public void The_way_back_from_a_system_call_serialises_where_the_model_says_so(SerialisingEvents events, string expected)
    {
        // syscall; mov al, 1.
        new FetchScene { Guest = [Nop, 0x0f, 0x05, 0xb0, 1, Hlt], Setup = m => m.SystemCall = _ => { } }.Store(1, 4, 2)
            .Outcomes(Bytewise with { Serialising = events }).ShouldBe(expected.Split('|'));

        // sysret to the move; at CPL 3 HLT is #GP, so the program ends with another SYSCALL that stops it.
        var sysret = new FetchScene
        {
            Guest = [Nop, 0x48, 0x0f, 0x07, 0xb0, 1, 0x0f, 0x05],
            Setup = m =>
            {
                m.Cpus[1].Registers[1] = (FetchScene.Code + 4).Value;
                m.SystemCall = cpu => cpu.StopGuest();
            },
        };
        sysret.Store(1, 5, 2).Outcomes(Bytewise with { Serialising = events }).ShouldBe(expected.Split('|'));
    }

    [Theory]
    [InlineData(SerialisingEvents.Architectural, "1 0|2 0")]
    [InlineData(SerialisingEvents.Architectural | SerialisingEvents.HypervisorExit, "2 0")]
    public void A_hypervisor_exit_serialises_where_the_model_says_so(SerialisingEvents events, string expected)
    {
        var scene = new FetchScene { Guest = [0xb0, 1, Hlt], Prologue = () => [new Delay(FetchScene.InstructionCycles), new HypervisorExit(0)] }.Store(1, 1, 2);
        scene.Outcomes(Bytewise with { Serialising = events }).ShouldBe(expected.Split('|'));
    }

    [Fact]
    public void A_torn_instruction_executes_as_mixed_or_raises_any_exception()
    {
        // mov al, 1 becomes mov bl, 2 by one store.
        var scene = new FetchScene { Guest = [Nop, 0xb0, 1, Hlt] }.Store(1, 1, 0xb3, 2);
        scene.Outcomes(Bytewise).ShouldBe(["0 1", "0 2", "1 0", "2 0"]);
        scene.Outcomes(Bytewise with { TornDecode = TornDecode.AnyException }).ShouldBe(["#GP", "#UD", "0 1", "0 2", "1 0", "2 0"]);
    }

    [Fact]
    public void Bytes_that_stood_in_memory_together_are_not_torn_however_they_were_put_together()
    {
        // mov al, 1 becomes mov bl, 1: whichever version the second byte is of, it is the same.
        var scene = new FetchScene { Guest = [Nop, 0xb0, 1, Hlt] }.Store(1, 1, 0xb3, 1);
        scene.Outcomes(Bytewise with { TornDecode = TornDecode.AnyException }).ShouldBe(["0 1", "1 0"]);
    }

    [Fact]
    public void Who_watches_fetches_is_told_the_mixed_bytes_and_whether_they_are_stale_or_torn()
    {
        var seen = new SortedSet<string>(StringComparer.Ordinal);
        var scene = new FetchScene
        {
            Guest = [Nop, 0xb0, 1, Hlt],
            Setup = m => m.Events.DirtyFetched += (_, _, rip, bytes, coherence) =>
            {
                if (rip == FetchScene.Code + 1) seen.Add($"{Convert.ToHexStringLower(bytes)}{(coherence.IsStale ? " stale" : "")}{(coherence.IsTorn ? " torn" : "")}");
            },
        };
        scene.Store(1, 1, 0xb3, 2).Outcomes(Bytewise with { TornDecode = TornDecode.AnyException });
        seen.ShouldBe(["b001 stale", "b002 stale torn", "b301 stale torn", "b302"]);
    }

    [Fact]
    public void Without_a_coherent_cache_new_bytes_are_sure_only_once_maintained_and_then_serialised()
    {
        byte[] guest = [Nop, 0x0f, 0x01, 0xe8, 0xb0, 1, Hlt];
        var incoherent = Bytewise with { IcacheCoherent = false };
        FetchScene Stored() => new FetchScene { Guest = guest }.Store(1, 5, 2);
        Func<KernelStep> maintain = () => new InvalidateInstructionCache(FetchScene.Code + 5, 1, costCycles: 0);

        Stored().Outcomes(Bytewise).ShouldBe(["2 0"], "control: serialising is enough where the cache is coherent");
        Stored().Outcomes(incoherent).ShouldBe(["1 0", "2 0"]);
        Stored().Do(1, maintain).Outcomes(incoherent).ShouldBe(["2 0"]);
        Stored().Do(2, maintain).Outcomes(incoherent).ShouldBe(["1 0", "2 0"], "maintained behind the SERIALIZE");
        new FetchScene { Guest = guest }.Do(1, maintain).Store(1, 5, 2).Outcomes(incoherent).ShouldBe(["1 0", "2 0"], "maintained before the store");
        Stored().Do(1, maintain).Store(1, 5, 3).Outcomes(incoherent).ShouldBe(["2 0", "3 0"], "of two stores one is maintained");
    }

    [Fact]
    public void Without_a_coherent_cache_nothing_is_snooped_not_even_a_cpus_own_stores()
    {
        var scene = new FetchScene { Guest = [0xc6, 0x05, 4, 0, 0, 0, 2, 0x0f, 0x01, 0xe8, 0xb0, 1, Hlt] };
        scene.Outcomes(Bytewise with { IcacheCoherent = false, RemoteSnoop = RemoteSnoop.FlushAll }).ShouldBe(["1 0", "2 0"]);
        scene.Outcomes(Bytewise).ShouldBe(["2 0"]);
    }

    [Fact]
    public void A_block_is_what_it_was_when_it_was_entered_and_nothing_is_asked_of_chance()
    {
        // 0: nop; 1: mov al, 1; 2: jmp to the next instruction; 3: mov bl, 1; 4: hlt.
        FetchScene Scene() => new() { Guest = [Nop, 0xb0, 1, 0xeb, 0, 0xb3, 1, Hlt] };
        Scene().Store(1, 2, 2).Store(1, 6, 2).Outcomes(FetchModel.QemuTcg).ShouldBe(["1 2"]);
        Scene().Store(2, 2, 2).Store(2, 6, 2).Outcomes(FetchModel.QemuTcg).ShouldBe(["1 2"]);
        Scene().Store(3, 6, 2).Outcomes(FetchModel.QemuTcg).ShouldBe(["1 1"], "it stands at the block");
        ExhaustiveChoices.Of(choices => Scene().Store(1, 2, 2).Run(FetchModel.QemuTcg, choices)).Runs.ShouldBe(1);

        // A guest's own store ends the block that it changes: mov byte ptr [rip + 1], 2; mov al, 1.
        new FetchScene { Guest = [0xc6, 0x05, 1, 0, 0, 0, 2, 0xb0, 1, Hlt] }.Outcomes(FetchModel.QemuTcg).ShouldBe(["2 0"]);
    }

    [Fact]
    public void A_block_may_tear_no_instruction_that_crosses_quadwords()
    {
        var scene = new FetchScene { Guest = [Nop, 0xb8, 1, 1, 1, 1, Hlt], Place = FetchScene.Code + 4, Start = FetchScene.Code + 4 }.Store(1, 6, 2, 2, 2, 2);
        scene.Outcomes(FetchModel.QemuTcg).ShouldBe(["1010101 0"]);
        scene.Outcomes(FetchModel.AmdAsync).ShouldContain("2020101 0", "control");
    }

    [Fact]
    public void Clean_code_asks_nothing_of_chance_under_any_preset()
    {
        foreach (var model in FetchModel.Presets)
        {
            var scene = TwoMoves.Store(1, 0x400, 1, 2, 3, 4);
            var (outcomes, runs) = ExhaustiveChoices.Of(choices => scene.Run(model, choices));
            outcomes.ShouldBe(["1 1"], model.Name);
            runs.ShouldBe(1, model.Name);
            var changed = ExhaustiveChoices.Of(choices => TwoMoves.Store(1, 3, 2).Run(model, choices)).Runs;
            (changed > 1).ShouldBe(model.RemoteSnoop == RemoteSnoop.None || model.Name == "intel-practice", $"control: {model.Name} is asked where code does change");
        }
    }

    [Fact]
    public void A_knob_out_of_range_says_the_range()
    {
        var model = FetchModel.SdmWorst;
        Refused(() => model with { AtomicChunkBytes = 4 }).ShouldContain("an atomic chunk has 1, 8, 16 or 64 bytes");
        Refused(() => model with { QueueDepth = 257 }).ShouldContain("a queue holds 0 to 256 instructions");
        Refused(() => model with { QueueDepth = -1 }).ShouldContain("a queue holds 0 to 256 instructions");
        Refused(() => model with { WindowBytes = 8 }).ShouldContain("a fetch window has 16, 32 or 64 bytes");
        Refused(() => model with { MicroOpCacheLines = 513 }).ShouldContain("a micro-op cache holds 0 to 512 lines");
        Refused(() => model with { StalenessBoundCycles = -1 }).ShouldContain("a staleness bound has 0 cycles or more");
        (model with { QueueDepth = 256, WindowBytes = 64, MicroOpCacheLines = 512, StalenessBoundCycles = 0 }).QueueDepth.ShouldBe(256);

        static string Refused(Func<FetchModel> make) => Should.Throw<ArgumentOutOfRangeException>(make).Message;
    }

    private static FetchScene Loop(byte[] guest) => new() { Guest = guest, Setup = m => m.Cpus[1].Registers[1] = 3, Outcome = cpu => $"{cpu.Registers[3]:x}" };
}
