namespace LivePatchLab.Linux.Tests;

/// <summary>Files that users name: whatever they are, there is an end, and a line.</summary>
public sealed class InputFileTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("livepatch-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(65_535)]
    [InlineData(65_536)]
    [InlineData(200_000)]
    public void A_file_is_read_whole_up_to_the_limit(int length)
    {
        var path = Path.Combine(_folder.FullName, "file");
        var bytes = Enumerable.Range(0, length).Select(i => (byte)(i * 7)).ToArray();
        File.WriteAllBytes(path, bytes);
        InputFile.ReadBytes(path, Math.Max(length, 1)).ShouldBe(bytes);
        InputFile.ReadBytes(path, int.MaxValue).ShouldBe(bytes);
        if (length > 1) Should.Throw<BadInputException>(() => InputFile.ReadBytes(path, length - 1)).Message.ShouldBe($"{path}: has more than 0 MiB, the most that is read of such a file; give another");
    }

    [Fact]
    public void A_file_that_does_not_tell_its_length_is_read_to_its_end()
    {
        // The files of /proc say that they are empty.
        const string path = "/proc/version";
        if (!File.Exists(path)) return;
        var bytes = File.ReadAllBytes(path);
        bytes.ShouldNotBeEmpty();
        InputFile.ReadBytes(path, 1 << 20).ShouldBe(bytes);
        InputFile.ReadBytes(path, bytes.Length).ShouldBe(bytes);
        Should.Throw<BadInputException>(() => InputFile.ReadBytes(path, bytes.Length - 1)).Message.ShouldContain("has more than");
    }

    [Fact]
    public void A_text_is_read_with_or_without_its_byte_order_mark()
    {
        var path = Path.Combine(_folder.FullName, "text");
        foreach (var encoding in (System.Text.Encoding[])[new System.Text.UTF8Encoding(false), new System.Text.UTF8Encoding(true), System.Text.Encoding.Unicode])
        {
            File.WriteAllText(path, "sites ä\n", encoding);
            InputFile.ReadText(path).ShouldBe("sites ä\n");
        }
    }

    [Fact]
    public void A_file_larger_than_the_limit_is_not_read()
    {
        // A hole, which takes no place on the disk.
        var path = Path.Combine(_folder.FullName, "large");
        using (var file = File.Create(path)) file.SetLength(3L << 30);
        Should.Throw<BadInputException>(() => KernelImage.Open(path)).Message.ShouldBe($"{path}: has more than 1024 MiB, the most that is read of such a file; give another");
        Should.Throw<BadInputException>(() => SiteTable.Open(path)).Message.ShouldContain("has more than 256 MiB");
    }
}
