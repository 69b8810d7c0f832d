using System.Text.Json.Nodes;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Cli.Tests;

/// <summary>livepatch notebook run, check and clean.</summary>
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

    [Fact]
    public void Check_says_same_or_which_cell_drifted_and_how()
    {
        using var folder = new TemporaryFolder();
        var good = Executed(folder, "good.ipynb", "var a = 40;", "a + 2");
        var drifted = folder.Write("drifted.ipynb", File.ReadAllText(good).Replace("\"42\"", "\"43\"", StringComparison.Ordinal));
        Livepatch.Run("notebook", "check", good).ShouldBeDone().Output.ShouldBe($"{good}: same\n");
        var check = Livepatch.Run("notebook", "check", good, drifted);
        check.Status.ShouldBe(1);
        check.Errors.ShouldBe("");
        check.Output.ShouldBe($"{good}: same\n{drifted}: drifted in 1 of 2 code cells\n  cell 2, output 1, line 1\n    was: 43\n    is:  42\n");
    }

    [Fact]
    public void Check_tells_a_notebook_that_was_never_executed_one_that_fails_and_one_that_is_none()
    {
        using var folder = new TemporaryFolder();
        var bare = folder.Write("bare.ipynb", Notebook("1"));
        var failing = folder.Write("failing.ipynb", File.ReadAllText(Executed(folder, "x.ipynb", "1")).Replace("\"1\"\n   ]", "\"nope\"\n   ]", StringComparison.Ordinal));
        var check = Livepatch.Run("notebook", "check", bare, failing, folder.At("none.ipynb"));
        check.Status.ShouldBe(2);
        check.Output.ShouldContain($"{bare}: never executed");
        check.Output.ShouldContain($"{failing}: failed: cell 1, line 1: The name 'nope'");
        check.ErrorLines.ShouldHaveSingleItem().ShouldContain("none.ipynb: no such file");
        Livepatch.Run("notebook", "check", bare).Status.ShouldBe(1);
    }

    [Fact]
    public void Clean_strips_in_place_and_with_check_only_tells()
    {
        using var folder = new TemporaryFolder();
        var file = Executed(folder, "x.ipynb", "40 + 2");
        var executed = File.ReadAllText(file);
        var told = Livepatch.Run("notebook", "clean", "--check", file);
        (told.Status, told.Output, told.Errors).ShouldBe((1, $"{file}: holds 1 output and 1 execution count\n", ""));
        File.ReadAllText(file).ShouldBe(executed);

        Livepatch.Run("notebook", "clean", file).ShouldBeDone().Output.ShouldBe($"{file}: 1 output and 1 execution count removed\n");
        JsonNode.Parse(File.ReadAllText(file))!["cells"]![0]!["outputs"]!.AsArray().ShouldBeEmpty();
        Livepatch.Run("notebook", "clean", "--check", file).ShouldBeDone().Output.ShouldBe($"{file}: clean\n");
        Livepatch.Run("notebook", "clean", folder.Write("bad.ipynb", "[]")).ShouldComplain(2, "bad.ipynb", "not a notebook");
    }

    [Fact]
    public void Parameters_reach_the_cells_and_the_same_run_gives_the_same_bytes()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("x.ipynb", Notebook("int cpus = 4;", "$\"{cpus} {string.Join('+', sites)} {name}\"").Replace("\"metadata\":{},\"outputs\":[],\"source\":\"int", "\"metadata\":{\"tags\":[\"parameters\"]},\"outputs\":[],\"source\":\"int", StringComparison.Ordinal));
        foreach (var output in (string[])["one", "two"])
        {
            var run = Livepatch.Run("notebook", "run", file, "-p", "cpus=8", "--parameter", "sites=[1,10]", "-p", "name='2'", "--output", folder.At(output));
            run.Status.ShouldBe(0, run.Errors);
            run.ErrorLines.ShouldBe([$"{file}: the 'parameters' cell declares no 'sites'.", $"{file}: the 'parameters' cell declares no 'name'."]);
        }
        var written = File.ReadAllText(folder.At("one/x.ipynb"));
        written.ShouldContain("8 1+10 2");
        File.ReadAllText(folder.At("two/x.ipynb")).ShouldBe(written);
    }

    [Theory]
    [InlineData("cpus", "no = in it")]
    [InlineData("9=1", "'9' cannot be the name of a C# variable")]
    [InlineData("x=[1,a]", "of one kind")]
    public void A_wrong_parameter_gets_one_line(string parameter, string hint)
    {
        using var folder = new TemporaryFolder();
        Livepatch.Run("notebook", "run", folder.Write("x.ipynb", Notebook("1")), "-p", parameter, "--output", folder.At("out")).ShouldComplain(2, "--parameter", hint);
    }

    [Fact]
    public void The_same_parameter_twice_gets_one_line()
    {
        using var folder = new TemporaryFolder();
        Livepatch.Run("notebook", "run", folder.Write("x.ipynb", Notebook("1")), "-p", "x=1", "-p", "x=2").ShouldComplain(2, "x is given twice");
    }

    [LabNotebooksFact]
    public void Every_notebook_of_the_lab_runs_from_its_first_cell_to_its_last_and_shows_what_it_was_committed_with()
    {
        const long BytesMax = 1_000_000;
        using var folder = new TemporaryFolder();
        // One process for all: half of what a process takes for a notebook goes into its start.
        var run = Livepatch.Start(TimeSpan.FromMinutes(10), Livepatch.Program, ["notebook", "run", .. LabNotebooksFactAttribute.Files, "--html", "--output", folder.At("out")]);
        run.ShouldHaveNoTrace();
        run.Status.ShouldBe(0, run.Errors);
        foreach (var file in LabNotebooksFactAttribute.Files)
        {
            var committed = NotebookDocument.Read(file);
            new FileInfo(file).Length.ShouldBeLessThan(BytesMax, file);
            NotebookComparison.IsExecuted(committed).ShouldBeTrue($"{file} is committed executed: livepatch notebook run");
            NotebookComparison.Drifts(committed, NotebookDocument.Read(folder.At($"out/{Path.GetFileName(file)}"))).Select(drift => drift.ToString()).ShouldBeEmpty(file);
            File.Exists(folder.At($"out/{Path.GetFileNameWithoutExtension(file)}.html")).ShouldBeTrue(file);
        }
    }

    private static string Executed(TemporaryFolder folder, string name, params string[] cells)
    {
        Livepatch.Run("notebook", "run", folder.Write(name, Notebook(cells)), "--output", folder.At("executed")).Status.ShouldBe(0);
        return folder.At($"executed/{name}");
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
