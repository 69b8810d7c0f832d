namespace LivePatchLab.Cli.Tests;

/// <summary>What the program says of itself, and to those who mistype.</summary>
public sealed class UsageTests
{
    [Fact]
    public void Help_names_every_command()
    {
        var help = Livepatch.Run("--help").ShouldBeDone().Output;
        foreach (var command in (string[])["run", "kernel", "patch", "sweep", "notebook"])
        {
            help.ShouldContain($"\n  {command} ");
            Livepatch.Run(command, "--help").ShouldBeDone().Output.ShouldContain("Usage:");
        }
    }

    [Fact]
    public void The_version_is_a_version() => Livepatch.Run("--version").ShouldBeDone().Output.ShouldMatch(@"^\d+\.\d+\.\d+");

    [Theory]
    [InlineData("--help")]
    [InlineData("--help", "pathc")]
    [InlineData("patch", "patsh")]
    [InlineData("Did you mean info?", "kernel", "infos", "x")]
    [InlineData("its argument is missing", "run")]
    [InlineData("its argument is missing", "notebook", "run")]
    [InlineData("say which command", "kernel")]
    [InlineData("--jobs 0", "sweep", "data/guests/README.md", "--jobs", "0")]
    public void A_mistake_gets_one_line_with_a_way_out(string hint, params string[] arguments) => Livepatch.Run(arguments).ShouldComplain(2, hint);

    [Theory]
    [InlineData("Unhandled exception. System.IO.IOException: no")]
    [InlineData("livepatch: no\n   at LivePatchLab.Cli.Program.Main()")]
    public void A_trace_would_be_found(string errors) => Should.Throw<ShouldAssertException>(new Livepatch("made up", 134, "", errors).ShouldHaveNoTrace);

    [Fact]
    public void Two_lines_would_be_found() => Should.Throw<ShouldAssertException>(() => new Livepatch("made up", 2, "", "one\ntwo\n").ShouldComplain(2));
}
