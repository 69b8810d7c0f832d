using Microsoft.DotNet.Interactive.Events;

namespace LivePatchLab.Interactive.Tests;

/// <summary>Views, shown by the product's own formatting code.</summary>
public sealed class ViewTests(LabHost lab) : IClassFixture<LabHost>
{
    private StandInHost Host => lab.Host;

    [Theory]
    [InlineData("new DataTable([\"a\"], [[\"<1>\"]])")]
    [InlineData("new Figure(\"f\").Line(\"l\", [(1, 2), (3, 4)])")]
    [InlineData("new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 3 })")]
    [InlineData("Patch.All().With(Protocols.TextPokeBp).Run(new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 3 }))")]
    [InlineData("CostPreset.All[0]")]
    [InlineData("FetchModel.Presets[0]")]
    [InlineData("Sweep.Run(new SweepSpec { Engines = [\"text_poke_bp\"], Sites = [1], Cpus = [2], Seeds = [1UL] })")]
    public async Task A_value_of_the_lab_is_shown_as_in_the_labs_own_sessions(string value)
    {
        await Host.RunWellAsync($"var shown = {value};");
        var forms = (await Host.RunWellAsync("shown")).Shown.ShouldHaveSingleItem().ShouldBeOfType<ReturnValueProduced>().Forms;
        forms.Keys.ShouldBe(["text/html", "text/plain"]);
        foreach (var (mimeType, text) in forms)
        {
            (await Host.RunWellAsync($"LivePatchLab.Notebooks.Formatter.Bundle(shown).Text(\"{mimeType}\")"))
                .Shown.ShouldHaveSingleItem().ShouldBeOfType<ReturnValueProduced>().Value.ShouldBe(text);
        }
    }

    [Fact]
    public async Task A_view_within_a_list_is_shown_as_itself()
        => (await Host.RunWellAsync("new object[] { new DataTable([\"column\"], [[\"1\"]]) }")).Shown.ShouldHaveSingleItem().ShouldBeOfType<ReturnValueProduced>()
            .Forms["text/html"].ShouldContain("<th scope=\"col\" style=\"text-align:left\">column</th>");

    [Fact]
    public async Task The_handle_of_a_last_display_shows_nothing()
        => (await Host.RunWellAsync("display(1)")).Shown[1].ShouldBeOfType<ReturnValueProduced>().Forms.Values.ShouldAllBe(text => text == "");
}

/// <summary>One session for tests that leave nothing behind that another would see.</summary>
public sealed class LabHost : IAsyncLifetime
{
    internal StandInHost Host { get; private set; } = null!;

    public async Task InitializeAsync() => Host = await StandInHost.WithLabAsync();

    public Task DisposeAsync() => Task.CompletedTask;
}
