using System.Text.RegularExpressions;

namespace LivePatchLab.House.Tests;

/// <summary>What is committed holds on every computer: it names no folder of somebody's machine and no package feed.</summary>
public sealed class PlaceTests
{
    // Put together here, so that this file is not its own first offender.
    private static readonly Regex MachinePath = new(@"(?<![\w.~$}-])/(" + string.Join('|', "work", "root", "tmp", "home") + ")/");

    private static readonly Regex FeedHost = new(
        string.Join('|', new[] { "nuget", "npmjs", "yarnpkg", "pypi", "pythonhosted", "debian", "ubuntu", "crates" }.Select(name => $@"\b{name}\.(?:org|com|io)\b"))
        + "|artifac" + @"tory|\bnexus\.|pkgs\.dev\.azure|\bproxy\.golang", RegexOptions.IgnoreCase);

    [Fact]
    public void Nothing_names_a_path_of_a_machine() => Hits(CommittedFiles.All, MachinePath).ShouldBeEmpty();

    [Theory]
    [InlineData("see /wo" + "rk/notes")]
    [InlineData("\"/ro" + "ot/.cache\"")]
    [InlineData("cp a /tm" + "p/b")]
    public void A_path_of_a_machine_is_found(string text) => Hits([new("src/A.cs", "\n" + text)], MachinePath).ShouldHaveSingleItem().ShouldStartWith("src/A.cs:2:");

    [Theory]
    [InlineData("https://example.com/work/x")]
    [InlineData("./work/x")]
    [InlineData("/boot/vmlinuz")]
    public void A_path_that_is_everybodys_is_not(string text) => Hits([new("src/A.cs", text)], MachinePath).ShouldBeEmpty();

    [Fact]
    public void Nothing_names_a_package_feed() => Hits(CommittedFiles.All, FeedHost).ShouldBeEmpty();

    [Theory]
    [InlineData("https://api.nu" + "get.org/v3/index.json")]
    [InlineData("http://deb.deb" + "ian.org/")]
    [InlineData("registry.np" + "mjs.org")]
    [InlineData("https://feeds.example.com/Artif" + "actory/x")]
    public void A_package_feed_is_found(string text) => Hits([new("a.json", text)], FeedHost).ShouldHaveSingleItem();

    private static IEnumerable<string> Hits(IEnumerable<CommittedFile> files, Regex pattern)
        => from file in files
           where !file.Name.EndsWith(".min.js", StringComparison.Ordinal)
           from line in file.Text.Split('\n').Index()
           let match = pattern.Match(line.Item)
           where match.Success
           select $"{file.Path}:{line.Index + 1}: {match.Value}";
}
