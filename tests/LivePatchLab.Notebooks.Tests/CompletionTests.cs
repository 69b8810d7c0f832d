namespace LivePatchLab.Notebooks.Tests;

/// <summary>What is offered at the cursor; the ¦ in a cell is the cursor.</summary>
[Collection("Sessions")]
public sealed class CompletionTests
{
    private readonly TestRun _run = new();

    [Theory]
    [InlineData("\"text\".Sub¦", "Substring")]
    [InlineData("var s = \"text\";\ns.Sub¦", "Substring")]
    [InlineData("string.IsNullOr¦", "IsNullOrEmpty", "IsNullOrWhiteSpace")]
    [InlineData("new[] { 1 }.Aver¦", "Average")]
    [InlineData("new[] { \"a\" }.Select(each => each.Len¦)", "Length")]
    [InlineData("string? s = null;\ns?.Len¦", "Length")]
    [InlineData("DateTime? d = null;\nd?.AddDay¦", "AddDays")]
    [InlineData("DateTime? d = null;\nd?.Date.AddDay¦", "AddDays")]
    [InlineData("System.Text.Jso¦", "Json")]
    [InlineData("System.Text.StringB¦", "StringBuilder")]
    [InlineData("using System.Tex¦", "Text")]
    [InlineData("using Syst¦", "System")]
    [InlineData("using static System.Mat¦", "Math", "MathF")]
    [InlineData("LivePatchLab.Experiments.LabMachineO¦", "LabMachineOptions")]
    [InlineData("var m = new LabMach¦", "LabMachine", "LabMachineOptions")]
    [InlineData("Patch.All().Wi¦", "With")]
    [InlineData("display¦", "display", "DisplayHandle", "DisplayOutput")]
    [InlineData("foreac¦", "foreach")]
    [InlineData("var s = \"text\";\ns.Sub¦\nvar x = 1;", "Substring")]
    [InlineData("for (var inner = 0; inner < 3; inn¦", "inner")]
    [InlineData("int Twice(int amount) { return amo¦", "amount")]
    [InlineData("$\"{Environment.NewLi¦}\"", "NewLine")]
    [InlineData("new LabMachineOptions { Cpus = 4, See¦", "Seed")]
    [InlineData("new LabMachineOptions { See¦ }", "Seed")]
    [InlineData("var o = new LabMachineOptions() with { See¦ }", "Seed")]
    [InlineData("Sweep.Run(parallelis¦", "parallelism:")]
    [InlineData("Sweep.Run(spec: null, progre¦)", "progress:", "progress", "Progress", "ProgressClock")]
    [InlineData("new LabMachine(new() { Workload = Idl¦ })", "Workload.Idle")]
    [InlineData("DateTime.Now.DayOfWeek == Sun¦", "DayOfWeek.Sunday")]
    [InlineData("string.Equals(\"a\", \"b\", InvariantC¦", "StringComparison.InvariantCulture", "StringComparison.InvariantCultureIgnoreCase")]
    public void What_fits_is_offered(string cell, params string[] expected) => Names(cell).ShouldBe(expected);

    [Theory]
    [InlineData("// Conso¦")]
    [InlineData("\"Conso¦\"")]
    [InlineData("\"Conso¦")]
    [InlineData("$\"Conso¦\"")]
    [InlineData("/* Conso¦")]
    [InlineData("var n = 12¦")]
    [InlineData("nothing.Conso¦")]
    public void Where_no_name_can_be_none_is_offered(string cell) => Names(cell).ShouldBeEmpty();

    [Fact]
    public async Task Names_of_earlier_cells_and_of_magics_are_known_with_their_types()
    {
        await _run.Text("using System.Text;\nvar builder = new StringBuilder();\nrecord Site(int Address);\nstatic int Doubled(this int number) => 2 * number;\n#!set --name fromMagic");
        Names("buil¦").ShouldBe(["builder"]);
        Names("builder.AppendL¦").ShouldBe(["AppendLine"]);
        Names("new Site(1).Addr¦").ShouldBe(["Address"]);
        Names("1.Doub¦").ShouldBe(["Doubled"]);
        Names("fromM¦").ShouldBe(["fromMagic"]);
        Names("fromMagic.CompareT¦").ShouldBe(["CompareTo"]);
        (await _run.Text("builder.Length")).ShouldBe("0");
    }

    [Fact]
    public async Task Nothing_of_the_cell_is_run()
    {
        await _run.Text("var count = 0;\nint Next() => ++count;");
        Names("Next().CompareT¦").ShouldBe(["CompareTo"]);
        (await _run.Text("count")).ShouldBe("0");
    }

    [Fact]
    public void Magic_lines_above_do_not_move_the_cursor()
    {
        const string cell = "#!set --name a\r\n#r \"nuget: Nothing\"\r\nvar s = \"🙂\";\r\ns.Sub";
        var found = _run.Session.CSharp.Complete(cell, cell.Length);
        found.Items.ShouldHaveSingleItem().Text.ShouldBe("Substring");
        (cell[..found.Start], found.End).ShouldBe((cell[..^3], cell.Length));
    }

    [Fact]
    public void Offers_are_sorted_without_what_nobody_may_write_and_say_what_they_are()
    {
        var items = At("\"text\".¦");
        items.Select(item => item.Text).ShouldBe(items.Select(item => item.Text).Order(StringComparer.OrdinalIgnoreCase));
        items.Select(item => item.Text).ShouldNotContain(name => name.Contains('<') || name.StartsWith("get_", StringComparison.Ordinal) || name.StartsWith("op_", StringComparison.Ordinal));
        items.Single(item => item.Text == "Length").ShouldBe(new("Length", CompletionKind.Property, "int Length"));
        items.Single(item => item.Text == "Contains").Signature.ShouldContain("more)");
        Names("valueFrom¦").ShouldBeEmpty();
        Names("cancellat¦")[0].ShouldBe("cancellation");
    }

    private string[] Names(string cell) => [.. At(cell).Select(item => item.Text)];

    private IReadOnlyList<CompletionItem> At(string cell)
        => _run.Session.CSharp.Complete(cell.Replace("¦", "", StringComparison.Ordinal), cell.IndexOf('¦', StringComparison.Ordinal)).Items;
}
