namespace LivePatchLab.Notebooks.Tests;

/// <summary>What is told about the name at the cursor; the ¦ in a cell is the cursor.</summary>
[Collection("Sessions")]
public sealed class InspectionTests
{
    private readonly TestRun _run = new();

    [Theory]
    [InlineData("Swe¦ep.Run(null)")]
    [InlineData("¦Sweep.Run(null)")]
    [InlineData("Sweep¦.Run(null)")]
    public void A_type_of_the_lab_is_told_with_its_documentation(string cell)
    {
        var told = Told(cell).ShouldNotBeNull();
        told.Kind.ShouldBe("class");
        told.Signatures.ShouldBe(["class Sweep"]);
        told.Summary.ShouldStartWith("Runs sweeps on the host's cores.");
        told.Origin.ShouldBe("LivePatchLab.Experiments, LivePatchLab.Experiments");
        told.Members.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("Sweep.Ru¦n(null)")]
    [InlineData("Sweep.Run(¦")]
    [InlineData("Sweep.Run(null, ¦)")]
    [InlineData("#!set --name a\nSweep.Run(null, parallelism: ¦)")]
    public void A_method_is_told_at_its_name_and_between_its_parentheses(string cell)
    {
        var told = Told(cell).ShouldNotBeNull();
        told.Signatures.ShouldHaveSingleItem().ShouldStartWith("SweepResult Sweep.Run(SweepSpec spec, int? parallelism = null, ");
        told.Details.ShouldContain(("parallelism", "Host threads; null for one a core."));
        told.ToString().ShouldContain("parallelism: Host threads");
        told.ToHtml().ShouldContain("Action&lt;SweepProgress&gt;");
    }

    [Fact]
    public async Task A_variable_is_told_with_its_type_and_its_cell()
    {
        await _run.Text("\n/// <summary>Counts <c>sites</c>.</summary>\nint Count(int from) => from;\nvar first = Count(3);\n#!set --name second");
        Told("fir¦st").ShouldNotBeNull().ShouldSatisfyAllConditions(
            told => told.Kind.ShouldBe("variable"), told => told.Signatures.ShouldBe(["int first"]), told => told.Origin.ShouldBe("cell 1, line 4"));
        Told("Cou¦nt(1)").ShouldNotBeNull().ShouldSatisfyAllConditions(
            told => told.Kind.ShouldBe("method"), told => told.Summary.ShouldBe("Counts sites."), told => told.Origin.ShouldBe("cell 1, line 3"));
        Told("sec¦ond").ShouldNotBeNull().Origin.ShouldBe("set by a magic");
        Told("var here = 1;\nher¦e").ShouldNotBeNull().Origin.ShouldBe("this cell, line 1");
    }

    [Fact]
    public void Members_of_a_type_are_told_when_they_are_asked_for()
    {
        Told("new LabMachineOpti¦ons()", withMembers: true).ShouldNotBeNull().Members.ShouldContain(member => member.Contains("LabMachineOptions.Cpus"));
        Told("var x = new LabMachineOptions();\n¦x", withMembers: true).ShouldNotBeNull().ToString().ShouldContain("LabMachineOptions.Seed");
    }

    [Fact]
    public void A_type_of_dotnet_is_told_at_least_by_its_signature()
    {
        var told = Told("Console.WriteLi¦ne(1)").ShouldNotBeNull();
        told.Signatures[0].ShouldBe("void Console.WriteLine(int value)");
        told.Signatures.Count.ShouldBeGreaterThan(10);
        told.Origin.ShouldBe("System, System.Console");
    }

    [Theory]
    [InlineData("¦")]
    [InlineData("nothing¦")]
    [InlineData("1 + ¦1")]
    [InlineData("// Sweep¦")]
    public void Of_what_is_no_name_nothing_is_told(string cell) => Told(cell).ShouldBeNull();

    private SymbolExplanation? Told(string cell, bool withMembers = false)
        => _run.Session.CSharp.Explain(cell.Replace("¦", "", StringComparison.Ordinal), cell.IndexOf('¦', StringComparison.Ordinal), withMembers);
}
