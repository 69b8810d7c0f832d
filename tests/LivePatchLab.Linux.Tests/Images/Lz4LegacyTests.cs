using FsCheck;
using FsCheck.Fluent;

namespace LivePatchLab.Linux.Tests;

public sealed class Lz4LegacyTests
{
    [Theory]
    [InlineData("00", "")]
    [InlineData("30616263", "616263")]
    // Two literals, then six bytes from two back: the match reads what it writes.
    [InlineData("226162020000", "6162616261626162")]
    [InlineData("1f61010001 00", "61616161616161616161616161616161616161 61 61")]
    // Fifteen literals take a second length byte.
    [InlineData("f000 303132333435363738393a3b3c3d3e", "303132333435363738393a3b3c3d3e")]
    public void A_block_of_the_format_is_decoded(string packed, string expected)
    {
        var output = new byte[64];
        var length = Lz4Legacy.DecodeBlock(Hex(packed), output);
        output[..length].ShouldBe(Hex(expected));
    }

    [Theory]
    [InlineData("30 6162")]         // a literal short
    [InlineData("f0")]              // no second length byte
    [InlineData("f0 ff ff")]        // no end of the length
    [InlineData("10 61 01")]        // half a distance
    [InlineData("10 61 0000 00")]   // distance 0
    [InlineData("10 61 0200 00")]   // before the start
    [InlineData("1f 61 0100 ff 00 00")] // more than fits
    [InlineData("1f 61 0100")]      // no second match length byte
    public void A_damaged_block_is_rejected(string packed)
        => Lz4Legacy.DecodeBlock(Hex(packed), new byte[64]).ShouldBe(-1);

    [Fact]
    public void What_is_packed_is_unpacked()
    {
        // Runs of few letters: matches of every length and distance.
        var bytes = Gen.ListOf(Gen.Choose(1, 400).SelectMany(count => Gen.Choose(0, 3).Select(letter => (count, letter)))).Select(runs => runs.SelectMany(run => Enumerable.Range(0, run.count).Select(i => (byte)(i % (run.letter + 1)))).ToArray());
        Check.One(Config.QuickThrowOnFailure, Prop.ForAll(bytes.ToArbitrary(), original =>
        {
            Lz4Legacy.Decode(new(MiniBzImage.Lz4Legacy(original), "test"), original.Length).ShouldBe(original);
            return true;
        }));
    }

    [Fact]
    public void What_the_lz4_program_packed_is_unpacked()
    {
        var frame = File.ReadAllBytes(Path.Combine(LabFolder.Root, "tests", "LivePatchLab.Linux.Tests", "Data", "numbers.lz4"));
        var expected = string.Concat(Enumerable.Range(0, 20_000).Select(number => $"{number * 7919 % 1000}\n"));
        System.Text.Encoding.ASCII.GetString(Lz4Legacy.Decode(new(frame, "numbers.lz4"), expected.Length)).ShouldBe(expected);
    }

    [Fact]
    public void A_frame_of_another_length_is_rejected()
    {
        var frame = new ImageBytes(MiniBzImage.Lz4Legacy(new byte[1000]), "test");
        Should.Throw<BadInputException>(() => Lz4Legacy.Decode(frame, 1001)).Message.ShouldBe("test: the LZ4 payload unpacks to 1000 bytes, its trailer says 1001; fetch the image again");
        Should.Throw<BadInputException>(() => Lz4Legacy.Decode(frame, 999)).Message.ShouldContain("damaged");
    }

    private static byte[] Hex(string text) => Convert.FromHexString(text.Replace(" ", "", StringComparison.Ordinal));
}
