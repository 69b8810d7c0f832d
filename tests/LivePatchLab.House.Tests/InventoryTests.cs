using System.IO.Enumeration;
using System.Text.RegularExpressions;

namespace LivePatchLab.House.Tests;

/// <summary>Nothing lies about that no page tells of.</summary>
public sealed partial class InventoryTests
{
    [Fact]
    public void Every_notebook_is_in_the_readme() => UnlistedNotebooks(CommittedFiles.All).ShouldBeEmpty();

    [Fact]
    public void A_notebook_that_is_not_in_the_readme_is_found()
        => UnlistedNotebooks([new("README.md", "[one](notebooks/01-one.ipynb)"), new("notebooks/01-one.ipynb", ""), new("notebooks/02-two.ipynb", "")]).ShouldBe(["notebooks/02-two.ipynb"]);

    [Fact]
    public void Every_data_file_is_told_of_by_the_readme_beside_it() => Orphans(CommittedFiles.All).ShouldBeEmpty();

    [Fact]
    public void A_data_file_that_no_readme_tells_of_is_found()
    {
        CommittedFile[] files =
        [
            new("data/README.md", "folders: `guests`"),
            new("data/loose.csv", ""),
            new("data/guests/README.md", "`hello` says it, `seed-*.txt` are seeds"),
            new("data/guests/hello", ""),
            new("data/guests/hello.c", ""),
            new("data/guests/hello-again.c", ""),
            new("data/guests/seed-1.txt", ""),
            new("data/bare/one.txt", ""),
        ];
        Orphans(files).ShouldBe(["data/loose.csv", "data/guests/hello-again.c", "data/bare/one.txt"]);
    }

    [Fact]
    public void Every_link_of_the_pages_leads_to_a_file() => DeadLinks(CommittedFiles.All).ShouldBeEmpty();

    [Fact]
    public void A_link_that_leads_nowhere_is_found()
    {
        CommittedFile[] files = [new("README.md", "[a](docs/a.md) [b](docs/b.md#part) [c](https://example.com) [d](#here) [e](docs) <!-- [f](f.png) -->"), new("docs/a.md", "[up](../README.md) [x](../x.md)")];
        DeadLinks(files).ShouldBe(["README.md: docs/b.md", "docs/a.md: ../x.md"]);
    }

    private static IEnumerable<string> UnlistedNotebooks(IReadOnlyList<CommittedFile> files)
    {
        var readme = files.SingleOrDefault(f => f.Path == "README.md")?.Text ?? "";
        return files.Where(f => f.Folder == "notebooks" && f.Is(".ipynb") && !readme.Contains(f.Path, StringComparison.Ordinal)).Select(f => f.Path);
    }

    /// <summary>A README tells of a file by its name, by its name without the extension, or by a pattern, in backquotes.</summary>
    private static IEnumerable<string> Orphans(IReadOnlyList<CommittedFile> files)
    {
        foreach (var file in files.Where(f => f.Path.StartsWith("data/", StringComparison.Ordinal) && f.Name != "README.md"))
        {
            var readme = files.SingleOrDefault(f => f.Path == $"{file.Folder}/README.md")?.Text ?? "";
            var told = Quoted().Matches(readme).Select(m => m.Groups["what"].Value);
            var stem = Path.GetFileNameWithoutExtension(file.Name);
            if (!told.Any(what => what == stem || FileSystemName.MatchesSimpleExpression(what, file.Name, ignoreCase: false))) yield return file.Path;
        }
    }

    private static IEnumerable<string> DeadLinks(IReadOnlyList<CommittedFile> files)
        => from page in files
           where page.Is(".md")
           from link in Link().Matches(Comment().Replace(page.Text, "")).Select(m => m.Groups["to"].Value)
           where link.Length > 0 && !link.Contains(':')
           let target = Path.GetRelativePath("/", Path.GetFullPath(Path.Combine("/", page.Folder, link)))
           where !files.Any(f => f.Path == target || f.Path.StartsWith(target + "/", StringComparison.Ordinal))
           select $"{page.Path}: {link}";

    [GeneratedRegex("<!--.*?-->", RegexOptions.Singleline)]
    private static partial Regex Comment();

    [GeneratedRegex("`(?<what>[^`\n]+)`")]
    private static partial Regex Quoted();

    [GeneratedRegex(@"\]\((?<to>[^)#\s]*)[^)]*\)")]
    private static partial Regex Link();
}
