using System.Text.Json.Nodes;
using Microsoft.DotNet.Interactive.Events;

namespace LivePatchLab.Interactive.Tests;

/// <summary>The notebooks of the lab, cell by cell, in the stand-in for the host.</summary>
public sealed class NotebookTests
{
    /// <summary>How many of the outputs are the lab's to make; values of other types the host shows in its own way.</summary>
    [Theory]
    [InlineData("01-first-patch.ipynb", 6)]
    [InlineData("02-sync-cost.ipynb", 12)]
    [InlineData("03-seven-tracers.ipynb", 5)]
    public async Task A_notebook_runs_unchanged_and_shows_the_same(string name, int outputs)
    {
        var host = await StandInHost.WithLabAsync();
        var compared = 0;
        foreach (var cell in Cells(Path.Combine(LabFolder.Root, "notebooks", name)))
        {
            var run = await host.RunWellAsync(cell.Code);
            run.Shown.Count.ShouldBe(cell.Outputs.Count, cell.Code);
            foreach (var (shown, committed) in run.Shown.Zip(cell.Outputs).Where(pair => IsOfTheLab(pair.First)))
            {
                Plain(shown).ShouldBe(committed, cell.Code);
                compared++;
            }
        }
        compared.ShouldBe(outputs);
    }

    [Fact]
    public async Task A_cell_that_shows_something_else_is_found()
    {
        var host = await StandInHost.WithLabAsync();
        var first = Cells(Path.Combine(LabFolder.Root, "notebooks", "01-first-patch.ipynb"))[0];
        first.Code.ShouldBe("#!lab ideal");
        Plain((await host.RunWellAsync("#!lab sdm-worst")).Shown[0]).ShouldNotBe(first.Outputs[0]);
    }

    /// <summary>The library itself is not to be had here; what the lab hands to it is.</summary>
    [Theory]
    [InlineData("sweep-to-xplot.ipynb")]
    [InlineData("sweep-to-scottplot.ipynb")]
    public async Task What_a_notebook_hands_to_another_library_is_plain_arrays(string name)
    {
        var path = Path.Combine(LabFolder.Root, "notebooks", "interop", name);
        var cells = Cells(path);
        cells.SelectMany(cell => cell.Outputs).ShouldBeEmpty();
        cells[0].Code.ShouldStartWith("#r \"nuget: ");
        Text(JsonNode.Parse(await File.ReadAllTextAsync(path))!["cells"]![0]!["source"]).ShouldContain("needs the full public NuGet feed");

        var host = await StandInHost.WithLabAsync();
        foreach (var cell in cells[1..^1])
            await host.RunWellAsync(cell.Code);
        host.Variable<string[]>("engines").ShouldContain("text_poke_bp_list");
        (await host.RunWellAsync("SitesOf(\"text_poke_bp\")")).Shown.ShouldHaveSingleItem().ShouldBeOfType<ReturnValueProduced>().Value.ShouldBe(new double[] { 1, 10, 100, 1000 });
        (await host.RunWellAsync("MicrosecondsOf(\"text_poke_bp\")")).Shown.ShouldHaveSingleItem().ShouldBeOfType<ReturnValueProduced>().Value.ShouldBeOfType<double[]>().ShouldBeInOrder();
    }

    private static bool IsOfTheLab(KernelEvent shown)
        => shown is StandardOutputValueProduced || shown is DisplayEvent { Value: { } value } && value.GetType().Assembly.GetName().Name!.StartsWith("LivePatchLab.", StringComparison.Ordinal);

    private static string Plain(KernelEvent shown) => shown is StandardOutputValueProduced console ? console.Text : ((DisplayEvent)shown).Forms["text/plain"];

    private static List<(string Code, List<string> Outputs)> Cells(string path)
        => [.. JsonNode.Parse(File.ReadAllText(path))!["cells"]!.AsArray().Where(cell => (string?)cell!["cell_type"] == "code").Select(cell => (
            Text(cell!["source"]), cell["outputs"]!.AsArray().Select(output => Text(output!["text"] ?? output["data"]!["text/plain"])).ToList()))];

    /// <summary>nbformat writes a text as one string, or as a list of lines.</summary>
    private static string Text(JsonNode? text) => text is JsonArray lines ? string.Concat(lines.Select(line => (string?)line)) : (string?)text ?? "";
}
