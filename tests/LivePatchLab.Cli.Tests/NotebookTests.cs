using System.Text.Json.Nodes;

namespace LivePatchLab.Cli.Tests;

/// <summary>livepatch notebook run.</summary>
public sealed class NotebookTests
{
    [Fact]
    public void A_notebook_is_run_and_written_and_a_second_run_gives_the_same_bytes()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("sum.ipynb", Notebook("var a = 40;", "a + 2"));
        var first = Run(folder, "one", file);
        first.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).ShouldBe([folder.At("one/sum.ipynb"), folder.At("one/sum.html")]);
        var result = JsonNode.Parse(File.ReadAllText(folder.At("one/sum.ipynb")))!["cells"]![1]!["outputs"]![0]!["data"]!["text/plain"]!;
        result.ToJsonString().ShouldContain("42");
        File.ReadAllText(folder.At("one/sum.html")).ShouldContain("42");

        Run(folder, "two", file);
        foreach (var name in (string[])["sum.ipynb", "sum.html"])
            File.ReadAllBytes(folder.At($"two/{name}")).ShouldBe(File.ReadAllBytes(folder.At($"one/{name}")));
        File.ReadAllText(file).ShouldBe(Notebook("var a = 40;", "a + 2"));

        static Livepatch Run(TemporaryFolder folder, string output, string file)
        {
            var run = Livepatch.Run("notebook", "run", file, "--html", "--output", folder.At(output));
            run.Status.ShouldBe(0, run.Errors);
            return run;
        }
    }

    [Theory]
    [InlineData("throw new InvalidOperationException(\"too late\");", "cell 2, line 1", "too late")]
    [InlineData("int x = ;", "cell 2, line 1", "CS1525")]
    [InlineData("int[] a = [];\na[3] = 1;", "cell 2, line 2", "IndexOutOfRange")]
    [InlineData("#!nosuch --x 1", "cell 2, line 1", "nosuch")]
    public void A_cell_that_fails_is_told_with_its_place_and_nothing_is_written(string cell, string place, string hint)
    {
        using var folder = new TemporaryFolder();
        var run = Livepatch.Run("notebook", "run", folder.Write("bad.ipynb", Notebook("var good = 1;", cell)), "--html", "--output", folder.At("out"));
        run.ShouldComplain(1, "bad.ipynb", place, hint);
        Directory.Exists(folder.At("out")).ShouldBeFalse();
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("{", "not JSON")]
    [InlineData("[]", "not a notebook")]
    [InlineData("""{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}""", "nbformat 3")]
    [InlineData("""{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}""", "cells")]
    [InlineData("""{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [7]}""", "cell 1")]
    public void What_is_no_notebook_gets_one_line(string text, string hint)
    {
        using var folder = new TemporaryFolder();
        Livepatch.Run("notebook", "run", folder.Write("bad.ipynb", text), "--output", folder.At("out")).ShouldComplain(2, "bad.ipynb", hint);
        Directory.Exists(folder.At("out")).ShouldBeFalse();
    }

    [Fact]
    public void Of_two_notebooks_the_good_one_stays()
    {
        using var folder = new TemporaryFolder();
        var run = Livepatch.Run("notebook", "run", folder.Write("a.ipynb", Notebook("1")), folder.Write("b.ipynb", Notebook("throw null;")), "--output", folder.At("out"));
        run.Status.ShouldBe(1);
        Directory.GetFiles(folder.At("out")).ShouldBe([folder.At("out/a.ipynb")]);
    }

    [Fact]
    public void An_output_that_cannot_be_gets_one_line()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("a.ipynb", Notebook("1"));
        Livepatch.Run("notebook", "run", file, "--output", file).ShouldComplain(2, "a.ipynb");
        Livepatch.Run("notebook", "run", file, "--output", folder.At("")).ShouldComplain(2, "overwrite");
        Livepatch.Run("notebook", "run", folder.At("none.ipynb")).ShouldComplain(2, "none.ipynb");
        File.ReadAllText(file).ShouldBe(Notebook("1"));
    }

    [LabNotebooksFact]
    public void Every_notebook_of_the_lab_runs_from_its_first_cell_to_its_last()
    {
        using var folder = new TemporaryFolder();
        foreach (var file in LabNotebooksFactAttribute.Files)
        {
            var run = Livepatch.Run("notebook", "run", file, "--html", "--output", folder.At("out"));
            run.Status.ShouldBe(0, run.Errors);
            File.Exists(folder.At($"out/{Path.GetFileNameWithoutExtension(file)}.html")).ShouldBeTrue(file);
        }
    }

    private static string Notebook(params string[] cells) => new JsonObject
    {
        ["cells"] = new JsonArray([.. cells.Select(source => new JsonObject { ["cell_type"] = "code", ["execution_count"] = null, ["metadata"] = new JsonObject(), ["outputs"] = new JsonArray(), ["source"] = source })]),
        ["metadata"] = new JsonObject(),
        ["nbformat"] = 4,
        ["nbformat_minor"] = 4,
    }.ToJsonString();
}

/// <summary>A test on the notebooks of the working copy.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class LabNotebooksFactAttribute : FactAttribute
{
    public LabNotebooksFactAttribute()
    {
        if (Files.Length == 0) Skip = "there is no notebook in notebooks/";
    }

    public static string[] Files { get; } = Directory.Exists(Folder) ? [.. Directory.GetFiles(Folder, "*.ipynb").Order(StringComparer.Ordinal)] : [];

    private static string Folder => Path.Combine(LabFolder.Root, "notebooks");
}
