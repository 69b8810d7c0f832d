using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace LivePatchLab.House.Tests;

/// <summary>The workshop container cannot be built by a test; what it names must at least be there, and agree with what the tests ask for.</summary>
public sealed partial class ContainerTests
{
    private const string Settings = ".devcontainer/devcontainer.json", Recipe = ".devcontainer/Dockerfile", TestRun = "tests/run.sh";

    [Fact]
    public void The_container_is_a_ready_lab() => Missing(CommittedFiles.All).ShouldBeEmpty();

    [Fact]
    public void What_a_container_lacks_is_found()
    {
        CommittedFile[] files =
        [
            new(TestRun, "tools=\"gcc:gcc xz:xz-utils\"\nlibraries=\"libzmq.so.5:libzmq5\"\n"),
            new(Recipe, "RUN apt-get update \\\n && apt-get install -y --no-install-recommends \\\n        gcc libzmq5-dev \\\n && rm x xz-utils\n"),
            new(Settings, """{"build": {"dockerfile": "Containerfile"}, "onCreateCommand": "livepatch jupyter install && dotnet build", "customizations": {"codespaces": {"openFiles": ["notebooks/00-start-here.ipynb"]}}}"""),
        ];
        Missing(files).ShouldBe(
        [
            "the Dockerfile installs no xz-utils, which the tests use",
            "the Dockerfile installs no libzmq5, which the tests use",
            "Containerfile is not there",
            "onCreateCommand does not build the lab and then call livepatch jupyter install",
            "notebooks/00-start-here.ipynb is not there",
            "port 8888 of Jupyter is not forwarded",
        ]);
    }

    [Fact]
    public void A_container_that_opens_nothing_is_found()
        => Missing([new(TestRun, ""), new(Recipe, ""), new(Settings, """{"build": {"dockerfile": "Dockerfile"}, "onCreateCommand": "dotnet build && livepatch jupyter install", "forwardPorts": [8888]}""")])
            .ShouldBe(["no notebook is opened"]);

    private static IEnumerable<string> Missing(IReadOnlyList<CommittedFile> files)
    {
        string Text(string path) => files.Single(file => file.Path == path).Text;
        bool IsThere(string path) => files.Any(file => file.Path == path);

        var installed = Installed().Match(Text(Recipe)).Groups["packages"].Value.Split([' ', '\\', '\n'], StringSplitOptions.RemoveEmptyEntries);
        foreach (var package in Needed().Matches(Text(TestRun)).SelectMany(list => list.Groups["pairs"].Value.Split(' ')).Select(pair => pair.Split(':')[1]))
            if (!installed.Contains(package)) yield return $"the Dockerfile installs no {package}, which the tests use";

        var settings = JsonNode.Parse(Text(Settings))!;
        var recipe = settings["build"]!["dockerfile"]!.GetValue<string>();
        if (!IsThere($".devcontainer/{recipe}")) yield return $"{recipe} is not there";
        if (!Prepared().IsMatch(settings["onCreateCommand"]!.GetValue<string>())) yield return "onCreateCommand does not build the lab and then call livepatch jupyter install";

        var opened = settings["customizations"]?["codespaces"]?["openFiles"]?.AsArray().Select(file => file!.GetValue<string>()).ToArray() ?? [];
        if (opened.Length == 0) yield return "no notebook is opened";
        foreach (var file in opened.Union(Opened().Matches(settings["postAttachCommand"]?.GetValue<string>() ?? "").Select(match => match.Value)).Where(file => !IsThere(file))) yield return $"{file} is not there";
        if (settings["forwardPorts"]?.AsArray().Any(port => port!.GetValue<int>() == 8888) is not true) yield return "port 8888 of Jupyter is not forwarded";
    }

    [GeneratedRegex(@"apt-get install(?<packages>[^&]*)")]
    private static partial Regex Installed();

    [GeneratedRegex(@"^(?:tools|libraries)=""(?<pairs>[^""]*)""", RegexOptions.Multiline)]
    private static partial Regex Needed();

    [GeneratedRegex("dotnet build.*&&.*livepatch jupyter install")]
    private static partial Regex Prepared();

    [GeneratedRegex(@"notebooks/[\w.-]+\.ipynb")]
    private static partial Regex Opened();
}
