using System.Text.Json.Nodes;
using LivePatchLab.Linux;

namespace LivePatchLab.Notebooks.Tests;

[Collection("Sessions")]
public sealed class NotebookParametersTests
{
    [Theory]
    [InlineData("true", "bool", "true")]
    [InlineData("False", "bool", "false")]
    [InlineData("12", "int", "12")]
    [InlineData("-7", "int", "-7")]
    [InlineData("007", "int", "7")]
    [InlineData("0x40", "int", "64")]
    [InlineData("5000000000", "long", "5000000000")]
    [InlineData("-9223372036854775808", "long", "-9223372036854775808")]
    [InlineData("18446744073709551615", "ulong", "18446744073709551615")]
    [InlineData("1.5", "double", "1.5")]
    [InlineData("1e3", "double", "1000.0")]
    [InlineData("-2.5e-7", "double", "-2.5E-07")]
    [InlineData("text_poke_bp", "string", "\"text_poke_bp\"")]
    [InlineData("1.2.3", "string", "\"1.2.3\"")]
    [InlineData("2013-11-25", "string", "\"2013-11-25\"")]
    [InlineData("it's", "string", "\"it's\"")]
    [InlineData("", "string", "\"\"")]
    [InlineData("\"12\"", "string", "\"12\"")]
    [InlineData("'true'", "string", "\"true\"")]
    [InlineData("'it''s'", "string", "\"it's\"")]
    [InlineData("a\"; throw null; //\\", "string", "\"a\\\"; throw null; //\\\\\"")]
    [InlineData("two\nlines", "string", "\"two\\nlines\"")]
    [InlineData("[1,2, 3]", "int[]", "[1, 2, 3]")]
    [InlineData("[1, 5000000000]", "long[]", "[1, 5000000000]")]
    [InlineData("[1, 2.5]", "double[]", "[1, 2.5]")]
    [InlineData("[true]", "bool[]", "[true]")]
    [InlineData("[a, 'b, c', \"d\\\"]\"]", "string[]", "[\"a\", \"b, c\", \"d\\\"]\"]")]
    public async Task A_value_is_read_as_YAML_reads_it_and_becomes_CSharp_of_that_type(string text, string type, string literal)
    {
        var value = ParameterValue.Parse(text);
        (value.Type, value.Literal).ShouldBe((type, literal));
        // The compiler has the last word on whether that is C#, and of which type.
        (await new TestRun().Text($"{type} x = {literal};\nx.GetType() == typeof({type})")).ShouldBe("true");
    }

    [Theory]
    [InlineData("cpus", "no = in it")]
    [InlineData("1x=2", "'1x' cannot be the name of a C# variable")]
    [InlineData("class=2", "'class' cannot be the name")]
    [InlineData("=2", "cannot be the name")]
    [InlineData("x=[1,2", "no ] at its end")]
    [InlineData("x=[1,a]", "of one kind")]
    [InlineData("x=[[1],[2]]", "a list within a list")]
    [InlineData("x=\"open", "none at the end")]
    [InlineData("x='a'b'", "written twice")]
    [InlineData("x=\"a\\q\"", "double quotes")]
    [InlineData("x=99999999999999999999", "more than 64 bits")]
    [InlineData("x=1e999", "greater than every real")]
    [InlineData("x=[-1,18446744073709551615]", "no type of 64 bits")]
    public void What_is_no_parameter_is_one_line(string given, string hint)
    {
        var message = Should.Throw<BadInputException>(() => NotebookParameters.Parse([given])).Message;
        message.ShouldContain(hint);
        message.ShouldNotContain("\n");
    }

    [Fact]
    public void A_name_given_twice_is_refused()
        => Should.Throw<BadInputException>(() => NotebookParameters.Parse(["x=1", "x=2"])).Message.ShouldBe("--parameter x=2: x is given twice");

    [Fact]
    public async Task Values_follow_the_defaults_and_declared_variables_keep_their_types()
    {
        var document = Document(
            new(CellKind.Code, "a", "var before = 1;"),
            new(CellKind.Code, "b", "#!count\nint cpus = 4;\ndouble load = 1;\nconst int Top = 3;\nList<int> sites = [1];\nvar (left, right) = (1, 2);") { Metadata = Tags(NotebookParameters.DefaultsTag) },
            new(CellKind.Code, "c", "$\"{cpus} {load / 4} {Top} {sites.Count} {left}{right}\""));
        NotebookParameters.Parse(["cpus=8", "load=2", "Top=9", "sites=[1,2]", "right=7"]).PutInto(document).ShouldBeEmpty();
        document.Cells.Select(cell => cell.Id).ShouldBe(["a", "b", NotebookParameters.InjectedTag, "c"]);
        document.Cells[2].HasTag(NotebookParameters.InjectedTag).ShouldBeTrue();
        document.Cells[2].Source.ShouldBe("// Parameters\ncpus = 8;\nload = 2;\nconst int Top = 9;\nsites = [1, 2];\nright = 7;");
        document.Metadata["papermill"]!.ToJsonString().ShouldBe("""{"parameters":{"cpus":8,"load":2,"Top":9,"sites":[1,2],"right":7}}""");
        (await LastValue(document)).ShouldBe("8 0.5 9 2 17");
    }

    [Fact]
    public async Task A_value_of_another_type_than_the_declared_is_the_compilers_to_refuse()
    {
        var document = Document(new NotebookCell(CellKind.Code, "a", "int cpus = 4;") { Metadata = Tags(NotebookParameters.DefaultsTag) });
        NotebookParameters.Parse(["cpus=many"]).PutInto(document);
        (await new NotebookRunner(TestMagics.Session).RunAsync(document, new())).Failure.ShouldNotBeNull().ToString()
            .ShouldBe("cell 2, line 2: Cannot implicitly convert type 'string' to 'int' (CS0029)");
    }

    [Fact]
    public async Task An_injected_cell_is_replaced_and_without_defaults_it_comes_first()
    {
        var document = Document(new(CellKind.Markdown, NotebookParameters.InjectedTag, "# Title"), new(CellKind.Code, "b", "cpus + 1"));
        NotebookParameters.Parse(["cpus=1"]).PutInto(document).ShouldHaveSingleItem().ShouldContain("no code cell is tagged 'parameters'");
        var id = document.Cells[0].Id;
        id.ShouldNotBe(NotebookParameters.InjectedTag, "that id is another cell's");
        NotebookParameters.Parse(["cpus=2"]).PutInto(document);
        document.Cells.Select(cell => cell.Id).ShouldBe([id, NotebookParameters.InjectedTag, "b"]);
        document.Metadata["papermill"]!["parameters"]!["cpus"]!.GetValue<ulong>().ShouldBe(2UL);
        (await LastValue(document)).ShouldBe("3");
    }

    [Fact]
    public void A_parameter_that_is_not_declared_is_told_with_the_nearest_that_is()
    {
        var document = Document(new NotebookCell(CellKind.Code, "a", "int cpus = 4;") { Metadata = Tags(NotebookParameters.DefaultsTag) });
        NotebookParameters.Parse(["cpu=8"]).PutInto(document).ShouldBe(["the 'parameters' cell declares no 'cpu'. Did you mean cpus?"]);
        document.Cells[1].Source.ShouldEndWith("int cpu = 8;");
        Should.Throw<BadInputException>(() => NotebookParameters.Parse(["x=[]"]).PutInto(document)).Message.ShouldContain("an empty list has no type");
    }

    [Fact]
    public void Without_parameters_a_notebook_stays_as_it_is()
    {
        var document = Document(new NotebookCell(CellKind.Code, "a", "1"));
        var before = document.ToJson();
        NotebookParameters.None.PutInto(document).ShouldBeEmpty();
        document.ToJson().ShouldBe(before);
    }

    private static async Task<string?> LastValue(NotebookDocument document)
    {
        var (_, failure) = await new NotebookRunner(TestMagics.Session).RunAsync(document, new());
        failure?.ToString().ShouldBeNull();
        return TestRun.Plain(document.Cells[^1].Outputs[^1]);
    }

    private static NotebookDocument Document(params NotebookCell[] cells) => new() { Cells = [.. cells] };

    private static JsonObject Tags(string tag) => new() { ["tags"] = new JsonArray(tag) };
}
