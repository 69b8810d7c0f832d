namespace LivePatchLab.Patching.Tests;

/// <summary>What an instruction that was executed at a site is to the site, of one instruction and of several.</summary>
public sealed class SiteFetchTests
{
    private static readonly byte[] Call = [0xe8, 0x10, 0x20, 0x30, 0x40], Nop5 = [0x0f, 0x1f, 0x44, 0x00, 0x00], Jump = [0xe9, 0x90, 0xcc, 0x35, 0x02];

    /// <summary>push rbp; mov rbp, rsp; nop.</summary>
    private static readonly byte[] Prologue = [0x55, 0x48, 0x89, 0xe5, 0x90];

    [Theory]
    [InlineData("e810203040", 5)]
    [InlineData("5548 89e5 90", 1, 3, 1)]
    [InlineData("eb09 660f1f840000020000", 2, 9)]
    [InlineData("41ba44332211 e810203040", 6, 5)]
    [InlineData("9090 909090", 1, 1, 1, 1, 1)]
    [InlineData("c3cccccccc", 1, 1, 1, 1, 1)]
    [InlineData("cc1f440000", 1, 4)]
    [InlineData("90e81020", 1, 3)]
    public void Instructions_begin_where_the_one_before_them_ends_and_what_is_none_is_one_piece(string hex, params int[] lengths)
    {
        var code = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
        var boundaries = InstructionBoundaries.Of(code);
        var offset = 0;
        foreach (var length in lengths)
        {
            boundaries.LengthAt(offset).ShouldBe(length, $"at {offset}");
            for (var inside = 1; inside < length; inside++) boundaries.LengthAt(offset + inside).ShouldBe(0, $"at {offset + inside}");
            offset += length;
        }

        boundaries.Count.ShouldBe(lengths.Length);
        (offset, boundaries.LengthAt(offset), boundaries.LengthAt(-1)).ShouldBe((code.Length, 0, 0));
    }

    [Fact]
    public void A_call_comes_back_to_what_is_behind_it_and_a_jump_does_not()
    {
        var boundaries = InstructionBoundaries.Of([0xff, 0xd0, .. Call, .. Jump]);
        new[] { 0, 2, 7, 1, 40 }.Select(boundaries.IsCallAt).ShouldBe([true, true, false, false, false]);
    }

    [Theory]
    [InlineData(0, "e810203040", SiteFetch.New)]
    [InlineData(0, "0f1f440000", SiteFetch.Old)]
    [InlineData(0, "cc", SiteFetch.Int3)]
    [InlineData(0, "f4", SiteFetch.Guard)]
    [InlineData(0, "e81f440000", SiteFetch.Torn)]
    [InlineData(1, "f4", SiteFetch.Torn)]
    [InlineData(1, "cc", SiteFetch.Torn)]
    [InlineData(3, "0000", SiteFetch.Torn)]
    public void At_a_site_of_one_instruction_only_its_beginning_is_whole(int offset, string executed, SiteFetch expected)
        => new PatchSite(new(0x1000), Nop5, Call) { Guard = new byte[] { 0xf4 } }.Judge(offset, Convert.FromHexString(executed)).ShouldBe(expected);

    [Theory]
    [InlineData(0, "55", SiteFetch.Old)]
    [InlineData(1, "4889e5", SiteFetch.Old)]
    [InlineData(4, "90", SiteFetch.Old)]
    [InlineData(0, "e990cc3502", SiteFetch.New)]
    [InlineData(0, "5548", SiteFetch.Torn)]
    [InlineData(1, "90", SiteFetch.Torn)]
    [InlineData(2, "89e5", SiteFetch.Torn)]
    [InlineData(4, "02c3", SiteFetch.Torn)]
    [InlineData(0, "cc", SiteFetch.Int3)]
    [InlineData(1, "cc", SiteFetch.Int3)]
    [InlineData(2, "cc", SiteFetch.Torn)]
    public void At_a_site_of_several_each_instruction_is_whole_at_its_own_place(int offset, string executed, SiteFetch expected)
        => new PatchSite(new(0x1000), Prologue, Jump).Judge(offset, Convert.FromHexString(executed)).ShouldBe(expected);

    [Fact]
    public void A_byte_of_the_new_displacement_that_looks_like_int3_is_none()
        => new PatchSite(new(0x1000), [0x66, 0x90, 0x0f, 0x1f, 0x00], Jump).Judge(2, [0xcc]).ShouldBe(SiteFetch.Torn);

    [Fact]
    public void Int3_that_the_new_code_begins_with_is_the_new_code()
        => new PatchSite(new(0x1000), Call, [0xcc, 0x1f, 0x44, 0x00, 0x00]).Judge(0, [0xcc]).ShouldBe(SiteFetch.New);

    [Fact]
    public void A_site_in_its_final_state_has_no_new_code()
    {
        var site = new PatchSite(new(0x1000), Prologue, newCode: null);
        (site.Judge(1, [0x48, 0x89, 0xe5]), site.HasSeveralInstructions).ShouldBe((SiteFetch.Old, true));
        new PatchSite(new(0x1000), Call, Nop5).HasSeveralInstructions.ShouldBeFalse();
        new PatchSite(new(0x1000), Call, Prologue).HasSeveralInstructions.ShouldBeTrue();
    }
}
