using System.Xml.Linq;

namespace LivePatchLab.House.Tests;

/// <summary>Machine &lt;- Linux &lt;- Patching &lt;- {Exploration, Experiments} &lt;- Notebooks &lt;- {Jupyter, Interactive, Cli}: references go down only.</summary>
public sealed class LayerTests
{
    // The marker, which stands for the whole package in its host, references nothing.
    private static readonly string[][] Layers =
    [
        ["Machine", "Interactive.Marker"], ["Linux"], ["Patching"], ["Exploration", "Experiments"], ["Notebooks"], ["Jupyter", "Interactive", "Cli"],
    ];

    /// <summary>The program is the one place where hosts meet: it starts the Jupyter kernel.</summary>
    private static readonly (string From, string To) Host = ("Cli", "Jupyter");

    [Fact]
    public void References_go_down_the_list_only() => Upward(CommittedFiles.All).ShouldBeEmpty();

    [Theory]
    [InlineData("Machine", "Linux")]
    [InlineData("Experiments", "Exploration")]
    [InlineData("Patching", "Experiments")]
    [InlineData("Jupyter", "Cli")]
    [InlineData("Linux", "Unheard")]
    public void A_reference_that_goes_up_or_aside_is_found(string from, string to)
        => Upward([Project(from, to)]).ShouldHaveSingleItem().ShouldContain(to);

    [Theory]
    [InlineData("Cli", "Machine")]
    [InlineData("Notebooks", "Exploration")]
    [InlineData("Cli", "Jupyter")]
    public void A_reference_that_goes_down_is_not(string from, string to) => Upward([Project(from, to)]).ShouldBeEmpty();

    [Fact]
    public void A_project_that_is_in_no_layer_is_found()
        => Upward([Project("Attic", "Machine")]).ShouldHaveSingleItem().ShouldContain("Attic");

    [Fact]
    public void The_solution_has_every_project() => NotInSolution(CommittedFiles.All).ShouldBeEmpty();

    [Fact]
    public void A_project_outside_the_solution_is_found()
        => NotInSolution([new("LivePatchLab.sln", "\"src\\A\\A.csproj\""), new("src/A/A.csproj", ""), new("src/B/B.csproj", "")]).ShouldBe(["src/B/B.csproj"]);

    private static CommittedFile Project(string name, string reference) => new(
        $"src/LivePatchLab.{name}/LivePatchLab.{name}.csproj",
        $"""<Project><ItemGroup><ProjectReference Include="../LivePatchLab.{reference}/LivePatchLab.{reference}.csproj" /></ItemGroup></Project>""");

    private static IEnumerable<string> Upward(IEnumerable<CommittedFile> files)
    {
        foreach (var project in files.Where(f => f.Path.StartsWith("src/", StringComparison.Ordinal) && f.Is(".csproj")))
        {
            var from = LayerName(project.Name);
            if (LayerOf(from) < 0) yield return $"{project.Path}: {from} is in no layer";
            foreach (var reference in XDocument.Parse(project.Text).Descendants("ProjectReference").Select(r => LayerName(r.Attribute("Include")!.Value.Split('/', '\\')[^1])))
                if (LayerOf(from) >= 0 && (from, reference) != Host && (LayerOf(reference) < 0 || LayerOf(reference) >= LayerOf(from))) yield return $"{project.Path}: references {reference}";
        }
    }

    private static string LayerName(string projectFile) => projectFile.Replace("LivePatchLab.", "", StringComparison.Ordinal).Replace(".csproj", "", StringComparison.Ordinal);

    private static int LayerOf(string name) => Array.FindIndex(Layers, layer => layer.Contains(name));

    private static IEnumerable<string> NotInSolution(IReadOnlyList<CommittedFile> files)
    {
        var solution = files.Single(f => f.Path == "LivePatchLab.sln").Text;
        return files.Where(f => f.Is(".csproj") && !solution.Contains($"\"{f.Path.Replace('/', '\\')}\"", StringComparison.Ordinal)).Select(f => f.Path);
    }
}
