using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments.Tests;

public sealed class DisassemblyTests
{
    [Fact]
    public void A_listing_marks_the_sites_and_follows_what_is_patched()
    {
        using var lab = Lab();
        var before = lab.DisassembleSite(1, 3);
        before.Lines[0].ShouldSatisfyAllConditions(line => line.Site.ShouldBe(1), line => line.State.ShouldBe(SiteState.Nop), line => line.Text.ShouldStartWith("nop"), line => line.Stale.ShouldBeEmpty());
        before.Lines[1].Address.ShouldBe(before.Lines[0].Address + 5);
        before.Lines.Skip(1).ShouldAllBe(line => line.Site == null);
        Patch.All().With(Protocols.TextPokeBpList).Run(lab);
        lab.DisassembleSite(1, 1).Lines[0].ShouldSatisfyAllConditions(line => line.State.ShouldBe(SiteState.Call), line => line.Text.ShouldBe("call ftrace_caller"));
    }

    [Fact]
    public void A_function_is_found_by_the_name_that_listings_show()
    {
        using var lab = Lab();
        lab.Disassemble("function_1", 2).Lines[0].ShouldSatisfyAllConditions(line => line.Address.ShouldBe(lab.Text.Functions[1]), line => line.Label.ShouldBe("function_1"));
        lab.Disassemble("ftrace_caller", 2).Lines.Select(line => line.Text).ShouldBe(["incq %gs:0", "ret"]);
        Should.Throw<BadInputException>(() => lab.Disassemble("schedule")).Message.ShouldContain("has no function 'schedule' here");
        Should.Throw<BadInputException>(() => lab.Disassemble(new GuestAddress(0x10))).Message.ShouldStartWith("no code is mapped at");
    }

    [Fact]
    public void Int3_that_stands_is_one_line_of_the_sites_length_and_older_versions_name_who_may_see_them()
    {
        using var lab = Lab();
        var site = lab.Text.Sites[0];
        lab.Machine.TryStoreCode(lab.Machine.Cpus[0], site, [BreakpointState.Int3]).ShouldBeTrue();
        lab.Machine.Cpus[0].Serialise(SerialisingEvents.Instruction);
        var line = lab.Disassemble(site, 1).Lines[0];
        (line.State, line.Bytes.Length, line.Text).ShouldBe((SiteState.Int3, 5, "int3"));
        var stale = line.Stale.ShouldHaveSingleItem();
        stale.Cpus.ShouldBe([new CpuId(1), new CpuId(2)]);
        stale.Bytes.ShouldBe(FtraceRecords.NopReplace());
        foreach (var cpu in lab.Machine.Cpus) cpu.Serialise(SerialisingEvents.Instruction);
        lab.Disassemble(site, 1).Lines[0].Stale.ShouldBeEmpty();
    }

    [Fact]
    public void Looking_changes_nothing()
    {
        using var looked = Lab();
        using var alone = Lab();
        foreach (var lab in new[] { looked, alone }) lab.Machine.TryStoreCode(lab.Machine.Cpus[0], lab.Text.Sites[0], [BreakpointState.Int3]);
        looked.Disassemble(looked.Text.Sites[0], 20);
        looked.Machine.Hash().ShouldBe(alone.Machine.Hash());
    }

    private static LabMachine Lab() => new(new LabMachineOptions { Cpus = 3, Sites = 4, Costs = CostPreset.Unit, Workload = Workload.Idle });
}
