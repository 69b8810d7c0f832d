using System.Text.RegularExpressions;

namespace LivePatchLab.House.Tests;

/// <summary>Sizes and names of what people read.</summary>
public sealed partial class StyleTests
{
    private const int LinesMax = 450;

    /// <summary>Files that may be longer, each with its reason. One that has become short has to leave the list.</summary>
    private static readonly Dictionary<string, string> LongFiles = [];

    private static readonly string[] Banned = ["Misc", "Util", "Utils", "Utility", "Utilities", "Helper", "Helpers", "Manager", "Managers"];

    [Fact]
    public void No_file_is_too_long_to_read_at_one_go() => TooLong(CommittedFiles.All, LongFiles).ShouldBeEmpty();

    [Fact]
    public void A_file_that_is_too_long_is_found_and_so_is_an_exemption_that_nothing_needs()
    {
        var files = new CommittedFile[] { new("src/Long.cs", new('\n', LinesMax + 1)), new("src/Fits.cs", new('\n', LinesMax)), new("src/Table.cs", new('\n', 9_000)), new("data/table.csv", new('\n', 9_000)) };
        TooLong(files, new() { ["src/Table.cs"] = "one table", ["src/Fits.cs"] = "once was long" })
            .ShouldBe(["src/Fits.cs: is on the list of long files, and need not be", $"src/Long.cs: {LinesMax + 1} lines"], ignoreOrder: true);
    }

    [Fact]
    public void No_name_says_nothing() => NamedForNothing(CommittedFiles.All).ShouldBeEmpty();

    [Theory]
    [InlineData("src/TextUtils.cs", "")]
    [InlineData("tests/Helpers/Text.cs", "")]
    [InlineData("src/Text.cs", "internal static class Text" + "Helper;")]
    [InlineData("src/Text.cs", "public readonly record struct Mis" + "cBits(int Bits);")]
    [InlineData("src/Text.cs", "interface IPatchMan" + "ager { }")]
    public void A_name_that_says_nothing_is_found(string path, string text) => NamedForNothing([new(path, text)]).ShouldHaveSingleItem();

    [Theory]
    [InlineData("src/Miscount.cs", "class Miscount;")]
    [InlineData("src/Text.cs", "/* a class of helpers */ class Text;")]
    public void A_name_that_only_looks_like_one_is_not(string path, string text) => NamedForNothing([new(path, text)]).ShouldBeEmpty();

    private static IEnumerable<string> TooLong(IReadOnlyList<CommittedFile> files, Dictionary<string, string> reasons)
    {
        foreach (var file in files.Where(f => f.Is(".cs", ".sh", ".c", ".h", ".md")))
        {
            var lines = file.Text.Count(c => c == '\n');
            if (lines > LinesMax && !reasons.ContainsKey(file.Path)) yield return $"{file.Path}: {lines} lines";
            if (lines <= LinesMax && reasons.ContainsKey(file.Path)) yield return $"{file.Path}: is on the list of long files, and need not be";
        }

        foreach (var gone in reasons.Keys.Where(path => files.All(f => f.Path != path))) yield return $"{gone}: is on the list of long files, and is not there";
    }

    private static IEnumerable<string> NamedForNothing(IEnumerable<CommittedFile> files)
        => from file in files
           where file.Is(".cs", ".csproj", ".sh", ".ipynb")
           let names = file.Path.Split('/', '.').Concat(file.Is(".cs") ? TypeName().Matches(file.Text).Select(m => m.Groups["name"].Value) : [])
           from name in names.Distinct()
           where Word().Matches(name).Any(word => Banned.Contains(word.Value))
           select $"{file.Path}: {name}";

    [GeneratedRegex(@"\b(?:class|struct|record|interface|enum)\s+(?<name>[A-Z]\w*)")]
    private static partial Regex TypeName();

    [GeneratedRegex("[A-Z][a-z0-9]*|[a-z0-9]+")]
    private static partial Regex Word();
}
