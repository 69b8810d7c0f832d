namespace LivePatchLab.Exploration.Tests;

public sealed class SiteBytesReportTests
{
    public static TheoryData<string> Names => [.. HandMade.All.Select(each => each.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_report_looks_as_it_was_accepted(string name)
        => GoldenFile.ShouldHold($"{name}.bytes.txt", string.Join("\n\n", SiteBytesReport.Of(HandMade.All.First(each => each.Name == name).Example)));

    [Fact]
    public void A_torn_fetch_falls_into_as_few_pieces_as_can_be()
    {
        // The old offset's first two bytes stand in the second version too; but the first version has the byte before them as well.
        var versions = SiteBytesReport.Of(HandMade.TornCall).ShouldHaveSingleItem().Versions;
        versions.Select(version => version.GivenTo).ShouldBe(["CPU1 at 4, bytes 0 to 2 only (stale)", "nobody", "CPU1 at 4, bytes 3 to 4 only"]);
        versions.Select(version => version.Instruction).ShouldBe(["call 0xffffffffc130201a", "int3", "int3"]);
    }

    [Fact]
    public void Bytes_that_came_back_are_of_the_newest_version_that_has_them_unless_the_fetch_was_stale()
    {
        var versions = SiteBytesReport.Of(HandMade.UnhandledTrap)[0].Versions;
        versions.Select(version => version.WrittenBy).ShouldBe(["there at the start", "CPU0, text_poke_bp at 0", "CPU0, text_poke_bp at 3"]);
        versions[1].GivenTo.ShouldBe("CPU1 at 1");
        SiteBytesReport.Of(HandMade.ManyCpus)[0].Versions[0].Fetches.Count.ShouldBe(7);
    }

    [Fact]
    public void An_instruction_elsewhere_was_given_nothing_of_the_site()
    {
        var example = HandMade.TornCall with { Entries = [.. HandMade.TornCall.Entries.Where(entry => !entry.IsTorn)] };
        SiteBytesReport.Of(example)[0].Versions.ShouldAllBe(version => version.GivenTo == "nobody");
    }
}
