namespace LivePatchLab.Machine.Tests;

/// <summary>
/// The classic ways to change a five-byte instruction under a CPU that executes it, over all moments at which it may come there:
/// mov eax, 0x11111111 becomes mov eax, 0x22222222, so that EAX tells which bytes were executed.
/// </summary>
public class CrossModificationTests
{
    private const byte Int3 = 0xcc, Mov = 0xb8;

    private const string Old = "11111111", New = "22222222", Breakpoint = "#BP";

    /// <summary>HLT, and back to it when an IPI has ended it.</summary>
    private static readonly byte[] HaltForGood = [0xf4, 0xeb, 0xfd];

    /// <summary>Three bytes in one quadword and two in the next; and all in one.</summary>
    private const int Straddling = 0x45, Aligned = 0x40;

    [Fact]
    public void A_plain_store_of_five_bytes_tears_where_it_crosses_what_is_fetched_as_one()
    {
        Outcomes(FetchModel.AmdAsync, Straddling, Plain).ShouldBe([Old, "11112222", "22221111", New], ignoreOrder: true);
        Outcomes(FetchModel.AmdAsync, Aligned, Plain).ShouldBe([Old, New], ignoreOrder: true);
        Outcomes(FetchModel.IntelPractice, Straddling, Plain).ShouldBe([Old, New], ignoreOrder: true);
        Outcomes(FetchModel.IntelPractice, 0x7d, Plain).ShouldBe([Old, "11112222", "22221111", New], ignoreOrder: true, "it crosses a line");
        Outcomes(FetchModel.QemuTcg, 0x7d, Plain).ShouldBe([Old], "the block was entered before the store");
        Outcomes(FetchModel.Ideal, 0x7d, Plain).ShouldBe([Old, New], ignoreOrder: true);

        var worst = Outcomes(FetchModel.SdmWorst, Aligned, Plain);
        worst.ShouldContain("#UD");
        worst.ShouldContain("#GP");
        worst.ShouldContain("22111122");
    }

    [Fact]
    public void With_all_three_synchronisations_no_instruction_is_torn_under_any_preset_that_is_coherent()
    {
        foreach (var model in FetchModel.Presets.Where(m => m.IcacheCoherent))
            foreach (var site in new[] { Straddling, Aligned, 0x7d })
                Torn(Outcomes(model, site, Int3Protocol)).ShouldBeEmpty($"{model}, {site:x}");
    }

    [Fact]
    public void Without_the_first_synchronisation_the_old_opcode_meets_the_new_tail()
    {
        Torn(Outcomes(FetchModel.AmdAsync, Straddling, WithoutFirst)).ShouldContain("22221111", "S-B32a: the first quadword is that before the int3, the second has the new tail");
        Torn(Outcomes(FetchModel.AmdAsync, Aligned, WithoutFirst)).ShouldBeEmpty();
        Torn(Outcomes(FetchModel.IntelPractice, Straddling, WithoutFirst)).ShouldBeEmpty();
    }

    [Fact]
    public void Without_the_second_synchronisation_the_new_opcode_meets_the_old_tail()
    {
        Torn(Outcomes(FetchModel.AmdAsync, Straddling, WithoutSecond)).ShouldContain("11112222", "S-B32b: the quadword with the opcode is new, the one behind it is still old");
        Torn(Outcomes(FetchModel.IntelPractice, 0x7d, WithoutSecond)).ShouldBeEmpty("Intel's rule: a store drops what is fetched and not decoded, so the tail comes with the opcode or before it");
        Torn(Outcomes(FetchModel.QemuTcg, Straddling, WithoutSecond)).ShouldBeEmpty();
    }

    [Fact]
    public void Without_the_last_synchronisation_the_breakpoint_is_met_when_nobody_expects_it_any_more()
    {
        // The CPU comes to the site long after the patcher has returned.
        foreach (var model in new[] { FetchModel.AmdAsync, FetchModel.SdmWorst })
        {
            OutcomesOf(model, Straddling, WithoutLast, nops: 20).ShouldContain(Breakpoint, $"S-B32c: {model}");
            OutcomesOf(model, Straddling, Int3Protocol, nops: 20).ShouldBe([New], $"control: {model}");
        }

        OutcomesOf(FetchModel.IntelPractice, Straddling, WithoutLast, nops: 20).ShouldContain(Breakpoint, "a decoded int3 waits in the queue");
        OutcomesOf(FetchModel.IntelPractice with { QueueDepth = 8 }, Straddling, WithoutLast, nops: 20).ShouldBe([New], "the queue has run through");
    }

    private static IEnumerable<KernelStep> Plain(GuestAddress site, long pause) => [new Delay(pause), Store(site, Mov, 0x22, 0x22, 0x22, 0x22)];

    private static IEnumerable<KernelStep> Int3Protocol(GuestAddress site, long pause) => Protocol(site, pause, first: true, second: true, last: true);

    private static IEnumerable<KernelStep> WithoutFirst(GuestAddress site, long pause) => Protocol(site, pause, first: false, second: true, last: true);

    private static IEnumerable<KernelStep> WithoutSecond(GuestAddress site, long pause) => Protocol(site, pause, first: true, second: false, last: true);

    private static IEnumerable<KernelStep> WithoutLast(GuestAddress site, long pause) => Protocol(site, pause, first: true, second: true, last: false);

    private static IEnumerable<KernelStep> Protocol(GuestAddress site, long pause, bool first, bool second, bool last)
    {
        yield return new Delay(FetchScene.InstructionCycles / 2);
        foreach (var (store, isSynchronised) in new[] { (Store(site, Int3), first), (Store(site + 1, 0x22, 0x22, 0x22, 0x22), second), (Store(site, Mov), last) })
        {
            yield return store;

            // An IPI comes before the next instruction of its target, which is to have a chance to execute one.
            yield return new Delay(pause);
            if (isSynchronised) yield return new CallFunction(new NoFunction(), wait: true);
        }
    }

    private static StoreCode Store(GuestAddress address, params byte[] bytes) => new(address, bytes, costCycles: 1);

    private static IEnumerable<string> Torn(IEnumerable<string> outcomes) => outcomes.Except([Old, New, Breakpoint]);

    private static HashSet<string> Outcomes(FetchModel model, int site, Func<GuestAddress, long, IEnumerable<KernelStep>> patcher)
        => [.. from nops in Enumerable.Range(0, 7) from outcome in OutcomesOf(model, site, patcher, nops) select outcome];

    private static HashSet<string> OutcomesOf(FetchModel model, int site, Func<GuestAddress, long, IEnumerable<KernelStep>> patcher, int nops)
    {
        var at = FetchScene.Code + site;
        return
        [
            .. from pause in new[] { 1, FetchScene.InstructionCycles }
               let scene = new FetchScene
               {
                   Guest = [.. Enumerable.Repeat((byte)0x90, nops), Mov, 0x11, 0x11, 0x11, 0x11, .. HaltForGood],
                   Place = at - nops,
                   Start = at - nops,
                   Setup = machine => machine.Cpus[0].Start("patcher", patcher(at, pause)),
                   Outcome = cpu => $"{cpu.Registers[0]:x8}",
               }
               from outcome in scene.Outcomes(model)
               select outcome,
        ];
    }
}
