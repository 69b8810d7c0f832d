using Microsoft.DotNet.Interactive.Events;

namespace LivePatchLab.Interactive.Tests;

/// <summary>The magics, from the line in a cell to what stands under it.</summary>
public sealed class MagicTests : IAsyncLifetime
{
    private StandInHost _host = null!;

    public async Task InitializeAsync() => _host = await StandInHost.WithLabAsync();

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task A_machine_is_patched_and_both_are_variables_of_their_own_type()
    {
        var cell = await _host.RunWellAsync("#!machine --cpus 2 --sites 3\n#!patch text_poke_bp --name slow\nslow.SyncRounds + machine.Options.Cpus");
        cell.Shown.Count.ShouldBe(3);
        cell.Shown.Take(2).Cast<DisplayEvent>().ShouldAllBe(shown => shown.Forms.Keys.SequenceEqual(new[] { "text/html", "text/plain" }));
        cell.Shown[2].ShouldBeOfType<ReturnValueProduced>().Value.ShouldBe(9 + 2);
        (await _host.RunWellAsync("#!patch --engine \"text_poke_bp\" --back\nrun.IsGood")).Shown[1].ShouldBeOfType<ReturnValueProduced>().Value.ShouldBe(true);
    }

    [Fact]
    public async Task A_machine_that_a_cell_has_made_can_be_patched()
        => (await _host.RunWellAsync("var mine = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 4 });\n#!patch --machine mine")).Plain.ShouldStartWith("text_poke_bp_list on 4 sites");

    [Fact]
    public async Task A_sweep_leaves_one_output_and_can_be_plotted()
    {
        var cell = await _host.RunWellAsync("#!sweep --engines text_poke_bp,text_poke_bp_list --sites 1,10 --cpus 2,4");
        cell.Plain.ShouldStartWith("sweep: 8 runs");
        cell.Displays[0].ShouldBeOfType<DisplayedValueProduced>();
        cell.Displays.Skip(1).ShouldAllBe(display => display is DisplayedValueUpdated);
        (await _host.RunWellAsync("sweep.Runs.Count")).Shown.ShouldHaveSingleItem().ShouldBeOfType<ReturnValueProduced>().Value.ShouldBe(8);

        var plot = (await _host.RunWellAsync("#!plot --x sites --y syncRounds --log --title \"Two words\"")).Shown.ShouldHaveSingleItem().ShouldBeOfType<DisplayedValueProduced>();
        plot.Forms["text/html"].ShouldContain("<svg");
        plot.Forms["text/plain"].ShouldStartWith("Two words\n");
        _host.VariableNames.ShouldContain("figure");
    }

    [Fact]
    public async Task A_table_of_sites_is_loaded_and_the_machine_takes_it()
    {
        var table = LabFolder.KernelTable("6.1.0-56-cloud.ftrace.csv");
        await _host.RunWellAsync($"#!load --table {table}");
        (await _host.RunWellAsync("#!machine --cpus 2 --sites 5\nkernel == (object)table && machine.Records.Records.Count == 5")).Shown[1].ShouldBeOfType<ReturnValueProduced>().Value.ShouldBe(true);
    }

    [Fact]
    public async Task Help_is_there() => (await _host.RunWellAsync("#!lab patch")).Plain.ShouldStartWith("#!patch");

    [Fact]
    public async Task A_value_of_a_cell_can_stand_in_a_line()
    {
        await _host.RunWellAsync("var n = 3;");
        (await _host.RunWellAsync("#!machine --cpus @csharp:n --sites 1\nmachine.Options.Cpus")).Shown[1].ShouldBeOfType<ReturnValueProduced>().Value.ShouldBe(3);
    }

    [Theory]
    [InlineData("#!patch", "there is no machine in a variable 'machine'; #!machine makes one")]
    [InlineData("#!machine --cpus 0", "#!machine: --cpus 0 is not in 1 to ")]
    [InlineData("#!machine --costs quiet4", "no cost model named 'quiet4'. Did you mean quiet-4?")]
    [InlineData("#!lab protocols costs", "#!lab does not know what to do with 'costs'.")]
    [InlineData("#!plot --log false", "#!plot does not know what to do with 'false'.")]
    [InlineData("#!load --image /no/such/file", "/no/such/file")]
    public async Task A_users_error_is_one_line_and_the_rest_of_the_cell_is_not_run(string line, string said)
    {
        var cell = await _host.RunAsync(line + "\nvar after = 1;");
        cell.Error.ShouldNotBeNull().ShouldStartWith(said);
        cell.Error.ShouldNotContain("\n");
        cell.Shown.ShouldBeEmpty();
        _host.VariableNames.ShouldNotContain("after");
    }

    [Fact]
    public async Task A_sweep_is_cancelled()
    {
        using var cancel = new CancellationTokenSource();
        var running = _host.RunAsync("#!sweep --engines all --sites 35051 --cpus 4 --seeds 1..1000", cancel.Token);
        while (!_host.Events.ToArray().OfType<DisplayedValueProduced>().Any())
            await Task.Delay(20);
        await cancel.CancelAsync();
        (await running).Error.ShouldBe("Command cancelled.");
        _host.VariableNames.ShouldNotContain("sweep");
        (await _host.RunWellAsync("#!lab")).Plain.ShouldContain("#!sweep");
    }

    [Fact]
    public async Task A_cell_shows_and_replaces_as_in_the_labs_own_sessions()
    {
        var cell = await _host.RunWellAsync("""
            var handle = display(new DataTable(["a"], [["1"]]));
            progress(1, 2, "steps");
            handle.Update("two");
            Console.WriteLine(cancellation.IsCancellationRequested);
            """);
        cell.Displays.Select(display => display.Forms["text/plain"]).ShouldBe(["a\n-\n1", "two"]);
        cell.Displays[1].ShouldBeOfType<DisplayedValueUpdated>().ValueId.ShouldBe(cell.Displays[0].ValueId);
        cell.Events.OfType<StandardOutputValueProduced>().ShouldHaveSingleItem().Text.ShouldBe("False\n");
    }

    [Fact]
    public async Task The_hosts_own_display_is_still_there_for_a_type_of_its_own()
        => (await _host.RunWellAsync("display(7, \"text/plain\");")).Displays.ShouldHaveSingleItem().Forms.Keys.ShouldBe(["text/plain"]);
}
