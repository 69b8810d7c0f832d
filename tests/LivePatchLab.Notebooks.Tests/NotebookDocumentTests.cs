using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;

namespace LivePatchLab.Notebooks.Tests;

public sealed class NotebookDocumentTests
{
    private static readonly char[] Alphabet = ['a', 'Z', '0', ' ', '"', '\\', '\n', '\r', '\t', '\b', '\u0001', '<', 'é', '中', '\u2028', '\u007f'];

    private static Gen<string> Texts => Gen.OneOf(Gen.Elements(Alphabet).ArrayOf().Select(chars => new string(chars)), Gen.Elements("🙂 ok\n", "", "\n\n"));

    private static Gen<MimeBundle> Bundles =>
        from plain in Texts
        from html in Texts
        from json in Gen.Elements("""{"data":[{"x":[1,2.50]}],"layout":{}}""", "[]", "{}")
        select new MimeBundle(MimeBundle.Plain, plain).Set(MimeBundle.Html, html).Set(MimeBundle.Plotly, json);

    private static Gen<NotebookOutput> Outputs => Gen.OneOf(
        Texts.Select(text => (NotebookOutput)new StreamOutput("stdout", text)),
        Bundles.Select(data => (NotebookOutput)new DisplayOutput(data) { Metadata = new() { ["kept"] = 1 } }),
        from data in Bundles from count in Gen.Choose(1, 99) select (NotebookOutput)new ResultOutput(count, data),
        from value in Texts from line in Texts select (NotebookOutput)new ErrorOutput("Kind", value, [line, "second"]));

    private static Gen<NotebookDocument> Documents =>
        from sources in Texts.ListOf()
        from outputs in Outputs.ListOf()
        from kinds in Gen.Elements(CellKind.Code, CellKind.Markdown, CellKind.Raw).ListOf(sources.Count)
        select new NotebookDocument
        {
            Metadata = new() { ["kernelspec"] = new JsonObject { ["name"] = "livepatch" }, ["unknown"] = new JsonArray(1, "x", null) },
            Cells =
            [
                .. sources.Select((source, i) => new NotebookCell(kinds[i], $"id-{i}", source)
                {
                    Metadata = new() { ["tags"] = new JsonArray("a"), ["odd"] = 0.1 },
                    ExecutionCount = kinds[i] == CellKind.Code ? i : null,
                    Outputs = kinds[i] == CellKind.Code ? [.. outputs] : [],
                }),
            ],
        };

    [Fact]
    public void What_is_written_is_read_back_and_written_the_same()
        => Prop.ForAll(Documents.ToArbitrary(), document =>
        {
            var text = document.ToJson();
            var read = NotebookDocument.Parse(text, "x.ipynb");
            return read.ToJson() == text
                && read.Cells.Select(cell => (cell.Source, cell.Id, cell.Kind)).SequenceEqual(document.Cells.Select(cell => (cell.Source, cell.Id, cell.Kind)))
                && read.Cells.Select(cell => cell.Outputs.Count).SequenceEqual(document.Cells.Select(cell => cell.Outputs.Count));
        }).QuickCheckThrowOnFailure();

    /// <summary>The bytes are those of Python's <c>nbformat.write</c>; the text was made with json.dumps(sort_keys, indent=1, ensure_ascii=False).</summary>
    [Fact]
    public void A_notebook_saved_by_Jupyter_comes_back_byte_for_byte()
    {
        const string Saved = """
            {
             "cells": [
              {
               "cell_type": "markdown",
               "id": "intro",
               "metadata": {},
               "source": [
                "# Größe\n",
                "one \"two\" \\ three"
               ]
              },
              {
               "cell_type": "code",
               "execution_count": 1,
               "id": "8d2f",
               "metadata": {
                "collapsed": false,
                "tags": [
                 "raises-exception"
                ]
               },
               "outputs": [
                {
                 "name": "stdout",
                 "output_type": "stream",
                 "text": [
                  "a\n"
                 ]
                },
                {
                 "data": {
                  "application/json": {
                   "a": 1.50
                  },
                  "text/plain": [
                   "2"
                  ]
                 },
                 "execution_count": 1,
                 "metadata": {},
                 "output_type": "execute_result"
                }
               ],
               "source": []
              }
             ],
             "metadata": {
              "kernelspec": {
               "display_name": "LivePatchLab",
               "name": "livepatch"
              }
             },
             "nbformat": 4,
             "nbformat_minor": 5
            }

            """;
        NotebookDocument.Parse(Saved, "x.ipynb").ToJson().ShouldBe(Saved);
    }

    [Fact]
    public void An_old_notebook_without_ids_gets_ids_that_are_the_same_every_time_and_unique()
    {
        const string Old = """
            {"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": [
             {"cell_type": "code", "source": "1", "outputs": [], "execution_count": null, "metadata": {}},
             {"cell_type": "code", "id": "cell-3", "source": ["a\n", "b"], "outputs": [], "execution_count": null, "metadata": {}},
             {"cell_type": "raw", "id": "cell-3", "source": "", "metadata": {}},
             {"cell_type": "markdown", "id": "not valid!", "source": "", "metadata": {}}]}
            """;
        var read = NotebookDocument.Parse(Old, "old.ipynb");
        read.Cells.Select(cell => cell.Id).ShouldBe(["cell-1", "cell-3", "cell-3b", "cell-4"]);
        read.Cells[1].Source.ShouldBe("a\nb");
        read.ToJson().ShouldBe(NotebookDocument.Parse(Old, "old.ipynb").ToJson());
    }

    [Theory]
    [InlineData("", "x.ipynb, line 1: not JSON, so not a notebook: the file is empty")]
    [InlineData("{\n\n oops}", "x.ipynb, line 3: not JSON, so not a notebook: ")]
    [InlineData("{\n<<<<<<< HEAD\n}", "x.ipynb, line 2: a git merge conflict is left in the file")]
    [InlineData("[]", "x.ipynb: not a notebook: the outermost value is no JSON object")]
    [InlineData("null", "x.ipynb: not a notebook: ")]
    [InlineData("{}", "x.ipynb: \"nbformat\" must be a whole number")]
    [InlineData("""{"nbformat":3}""", "x.ipynb: nbformat 3 is not read here")]
    [InlineData("""{"nbformat":4,"nbformat_minor":6,"cells":[]}""", "x.ipynb: nbformat 4.6 is not known here")]
    [InlineData("""{"nbformat":4}""", "x.ipynb: not a notebook: it has no list \"cells\"")]
    [InlineData("""{"nbformat":4,"cells":[7]}""", "x.ipynb, cell 1: a cell must be a JSON object")]
    [InlineData("""{"nbformat":4,"cells":[{"cell_type":"code","source":""},{"cell_type":"sql"}]}""", "x.ipynb, cell 2: cell_type \"sql\" is not known")]
    [InlineData("""{"nbformat":4,"cells":[{"cell_type":"code","source":[1]}]}""", "x.ipynb, cell 1: \"source\" must be a string or a list of strings")]
    [InlineData("""{"nbformat":4,"cells":[{"cell_type":"code","source":"","metadata":[]}]}""", "x.ipynb, cell 1: \"metadata\" must be a JSON object")]
    [InlineData("""{"nbformat":4,"cells":[{"cell_type":"code","source":"","execution_count":"1"}]}""", "x.ipynb, cell 1: \"execution_count\" must be a whole number")]
    [InlineData("""{"nbformat":4,"cells":[{"cell_type":"code","source":"","outputs":[{"output_type":"stream","name":"stdout","text":""},{"output_type":"pyout"}]}]}""", "x.ipynb, cell 1, output 2: output_type \"pyout\" is not known")]
    [InlineData("""{"nbformat":4,"cells":[{"cell_type":"code","source":"","outputs":[{"output_type":"error","ename":"E","evalue":"","traceback":"x"}]}]}""", "x.ipynb, cell 1, output 1: \"traceback\" must be a list of strings")]
    [InlineData("""{"nbformat":4,"cells":[{"cell_type":"code","source":"\ud800"}]}""", "x.ipynb: a text in it is no valid Unicode")]
    [InlineData("""{"nbformat":4,"nbformat":4,"cells":[]}""", "x.ipynb, line 1: not JSON, so not a notebook: ")]
    public void A_bad_notebook_is_one_line_with_file_and_place(string text, string message)
    {
        var thrown = Should.Throw<BadNotebookException>(() => NotebookDocument.Parse(text, "x.ipynb"));
        thrown.Message.ShouldStartWith(message);
        thrown.Message.ShouldNotContain("\n");
    }

    [Fact]
    public void A_missing_file_and_a_file_that_is_no_text_are_bad_notebooks_too()
    {
        using var folder = new TemporaryFolder();
        Should.Throw<BadNotebookException>(() => NotebookDocument.Read(folder.File("none.ipynb"))).Message.ShouldEndWith("no such file");
        File.WriteAllBytes(folder.File("binary.ipynb"), [0x7b, 0xff, 0xfe]);
        Should.Throw<BadNotebookException>(() => NotebookDocument.Read(folder.File("binary.ipynb"))).Message.ShouldContain("not UTF-8 text");
    }

    [Fact]
    public void Writing_leaves_one_file_and_nothing_beside_it()
    {
        using var folder = new TemporaryFolder();
        var document = new NotebookDocument { Cells = [new(CellKind.Code, "a", "1")] };
        document.Write(folder.File("sub/x.ipynb"));
        document.Write(folder.File("sub/x.ipynb"));
        Directory.GetFiles(folder.File("sub")).Select(Path.GetFileName).ShouldBe(["x.ipynb"]);
        File.ReadAllText(folder.File("sub/x.ipynb")).ShouldBe(document.ToJson());
    }
}
