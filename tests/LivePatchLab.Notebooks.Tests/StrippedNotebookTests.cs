using System.Text;

namespace LivePatchLab.Notebooks.Tests;

public sealed class StrippedNotebookTests : IDisposable
{
    /// <summary>Written as no program of ours writes: tabs, keys in another order, members that nbformat does not know, and things that only look like outputs.</summary>
    private const string Odd = """
        {"nbformat_minor": 4, "nbformat": 4,
        	"metadata": { "outputs": [1], "deep": {"execution_count": 7} },
        	"cells": [
        		{"outputs":[{"output_type":"stream","name":"stdout","text":"é [1, 2]"} , {"output_type":"stream","name":"stderr","text":"x"}], "cell_type":"code",
        			"metadata": {"scrolled": true, "outputs": ["kept"]}, "source": "\"outputs\": [1]", "execution_count" : 12, "mine": 1.50},
        		{"cell_type": "markdown", "metadata": {}, "source": "x"},
        		{"cell_type": "code", "metadata": {}, "source": [], "outputs": [ ], "execution_count": null}
        	], "vendor": {"cells": [{"outputs": [1]}]} }

        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Only_outputs_and_counts_are_cut_out(bool withByteOrderMark)
    {
        var path = _folder.File("odd.ipynb");
        File.WriteAllText(path, Odd, new UTF8Encoding(withByteOrderMark));
        var stripped = new StrippedNotebook(path);
        (stripped.Outputs, stripped.ExecutionCounts, stripped.IsChanged).ShouldBe((2, 1, true));
        File.ReadAllText(path).ShouldBe(Odd, "nothing is written before it is asked for");

        stripped.Write();
        var expected = Odd
            .Replace("""[{"output_type":"stream","name":"stdout","text":"é [1, 2]"} , {"output_type":"stream","name":"stderr","text":"x"}]""", "[]", StringComparison.Ordinal)
            .Replace("\"execution_count\" : 12", "\"execution_count\" : null", StringComparison.Ordinal);
        File.ReadAllBytes(path).ShouldBe([.. withByteOrderMark ? Encoding.UTF8.Preamble : default, .. Encoding.UTF8.GetBytes(expected)]);
        new StrippedNotebook(path).IsChanged.ShouldBeFalse();
    }

    [Fact]
    public void What_is_no_notebook_is_refused()
    {
        File.WriteAllText(_folder.File("bad.ipynb"), """{"cells": 1}""");
        Should.Throw<BadNotebookException>(() => new StrippedNotebook(_folder.File("bad.ipynb"))).Message.ShouldContain("bad.ipynb");
    }

    [Fact]
    public void A_link_stays_a_link_and_its_file_keeps_its_permissions()
    {
        if (OperatingSystem.IsWindows()) return;
        var (path, link) = (_folder.File("odd.ipynb"), _folder.File("link.ipynb"));
        File.WriteAllText(path, Odd);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        File.CreateSymbolicLink(link, path);
        new StrippedNotebook(link).Write();
        new FileInfo(link).LinkTarget.ShouldBe(path);
        new StrippedNotebook(path).IsChanged.ShouldBeFalse();
        File.GetUnixFileMode(path).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
    }
}
