namespace LivePatchLab.Notebooks.Tests;

[Collection("Sessions")]
public sealed class LabMagicsTests
{
    private readonly LabSession _lab = new();

    [Fact]
    public async Task A_machine_is_made_patched_and_patched_back()
    {
        (await _lab.Text("#!machine --cpus 3 --kernel debian-6.1 --model sdm-worst --costs kvm-2 --seed 7 --sites 20 --workload running")).ShouldStartWith("machine: 3 CPUs, 20 traced sites of 6.1.0-56-cloud");
        (await _lab.Text("machine.Options.Seed.ToString() + machine.Options.Costs.Name + machine.Workload")).ShouldBe("7kvm-2Running");
        (await _lab.Text("#!patch --engine text_poke_bp --sites 5")).ShouldStartWith("text_poke_bp on 5 sites, 3 CPUs: 15 syncs, 30 IPIs,");
        (await _lab.Text("#!patch --name all\nall.SyncRounds")).ShouldEndWith("\n3");
        (await _lab.Text("run.Sites")).ShouldBe("5");
        (await _lab.Text("#!patch text_poke_bp_list --back")).ShouldContain("on 20 sites");
        (await _lab.Text("machine.Records.Records.Count(record => record.IsEnabled)")).ShouldBe("0");
    }

    [Fact]
    public async Task A_cell_patches_by_the_fluent_form()
    {
        await _lab.Text("#!machine --cpus 2 --sites 10 --name small");
        (await _lab.Text("var list = Patch.All(\"ftrace\").With(Protocols.TextPokeBpList).Run(small);\nlist")).ShouldStartWith("text_poke_bp_list on 10 sites, 2 CPUs: 3 syncs, 3 IPIs, 0 int3 hits,");
    }

    [Fact]
    public async Task A_sweep_is_run_and_drawn()
    {
        (await _lab.Text("#!sweep --engines text_poke_bp,text_poke_bp_list --sites 1,10 --cpus 2,4 --seeds 1..2 --name two")).ShouldStartWith("sweep: 16 runs, costs quiet-4, fetch sdm-worst, workload idle, 2 seeds");
        _lab.Progress.Select(progress => (progress.Done, progress.Total)).ShouldBe(Enumerable.Range(1, 16).Select(done => ((long)done, 16L)));
        var plot = await _lab.Text("#!plot --of two --x sites --y syncRounds --log");
        plot.ShouldContain("text_poke_bp, 4 CPUs");
        plot.ShouldContain("2 seeds: median, least and most");
        (await _lab.Text("#!plot --of two --x cpus --y ipisPerCpu --by sites --name other\nother.Traces.Count")).ShouldEndWith("\n4");
        (await _lab.Text("#!plot --of two --x engine --y int3Hits --by cpus\nfigure.Traces[0] is BarTrace")).ShouldEndWith("\ntrue");
    }

    [Fact]
    public async Task Tables_and_programs_are_loaded_and_the_next_machine_takes_the_table()
    {
        var table = Path.Combine(LabSession.Root, "data", "kernels", "6.1.0-56-cloud.ftrace.csv");
        (await _lab.Text($"#!load --table \"{table}\"")).ShouldContain("35,609 traced sites");
        (await _lab.Text("var kernel = new SiteTable(\"mine\", table.TextBase, table.Sites.Take(9).ToList());\n#!machine --cpus 2")).ShouldContain(" of mine, ");
        (await _lab.Text("#!machine --cpus 2 --kernel table --sites 3")).ShouldContain("3 traced sites of 6.1.0-56-cloud");
        (await _lab.Text($"#!load --program \"{Path.Combine(LabSession.Root, "data", "guests", "sites")}\"\nprogram.Image.FtraceSites.Count > 0")).ShouldEndWith("true");
        (await _lab.Error("#!load")).ShouldBe("cell 5, line 1: #!load takes one of --image, --table and --program; none is given");
        (await _lab.Error("\n#!load --image /nowhere/vmlinuz")).ShouldStartWith("cell 6, line 2: /nowhere/vmlinuz: no such file");
        (await _lab.Error("#!machine --kernel tabel")).ShouldStartWith("cell 7, line 1: #!machine: --kernel no kernel named 'tabel'. Did you mean table?");
    }

    [Theory]
    [InlineData("#!patch --engine text_poke_bp_lst", "no protocol named 'text_poke_bp_lst'. Did you mean text_poke_bp_list?  (#!lab protocols lists all 22)")]
    [InlineData("#!sweep --engines text_poke_bp,stop_machin --sites 1", "no protocol named 'stop_machin'. Did you mean stop_machine?  (#!lab protocols lists all 23)")]
    [InlineData("#!machine --costs quiet4", "no cost model named 'quiet4'. Did you mean quiet-4?  (#!lab costs lists all 5)")]
    [InlineData("#!machine --model ideel", "no fetch model named 'ideel'. Did you mean ideal?  (#!lab models lists all 6)")]
    [InlineData("#!machine --cpus 0", "#!machine: --cpus 0 is not in 1 to 1024")]
    [InlineData("#!machine --cpus 5000", "#!machine: --cpus 5000 is not in 1 to 1024")]
    [InlineData("#!machine --sites many", "#!machine: --sites 'many' is no whole number")]
    [InlineData("#!machine --sites 2000000", "#!machine: --sites 2000000 is not in 1 to 1000000")]
    [InlineData("#!machine --seed -1", "#!machine: --seed '-1' is no seed: a whole number of 0 or more")]
    [InlineData("#!machine --workload runing", "#!machine: no workload named 'runing'. Did you mean running?  (--workload: idle, running, loaded)")]
    [InlineData("#!machine --workload loaded", "the cost model quiet-4 knows no load; take workload idle or running, or the cost model loaded-24")]
    [InlineData("#!machine --name class", "#!machine: --name 'class' cannot be the name of a C# variable")]
    [InlineData("#!patch", "there is no machine in a variable 'machine'; #!machine makes one")]
    [InlineData("#!sweep --engines all --sites 0", "#!sweep: --sites 0 is not in 1 to 1000000")]
    [InlineData("#!sweep --engines all --sites 1 --cpus 2,x", "#!sweep: --cpus 'x' is no whole number")]
    [InlineData("#!sweep --engines all --sites 1 --seeds 9..1", "#!sweep: --seeds '9..1' ends before it begins")]
    [InlineData("#!plot", "there is no sweep in a variable 'sweep'; #!sweep makes one")]
    [InlineData("#!plot --y syncRound", "#!plot: no y named 'syncRound'. Did you mean syncRounds?  (--y: syncRounds, ipis, ipisPerCpu, int3Hits, bytesWritten, simulatedSeconds)")]
    [InlineData("#!lab protocolls", "no topic named 'protocolls'. Did you mean protocols?  (#!lab lists all 46)")]
    public async Task What_is_wrong_is_one_line(string code, string message)
        => (await _lab.Error("\n" + code)).ShouldBe("cell 1, line 2: " + message);

    [Fact]
    public async Task A_number_of_sites_beyond_the_machines_own_is_refused()
    {
        await _lab.Text("#!machine --cpus 2 --sites 10");
        (await _lab.Error("#!patch --sites 11")).ShouldBe("cell 2, line 1: #!patch: --sites 11 is not in 1 to 10");
        (await _lab.Error("#!patch --machine System")).ShouldStartWith("cell 3, line 1: there is no machine in a variable 'System'");
        (await _lab.Error("Protocols.Named(\"text_poke\")")).ShouldStartWith("cell 4, line 1: no protocol named 'text_poke'.");
    }

    [Fact]
    public async Task The_lab_lists_and_explains_itself()
    {
        (await _lab.Text("#!lab")).Split('\n').Count(line => line.StartsWith("#!", StringComparison.Ordinal)).ShouldBe(9);
        (await _lab.Text("#!lab protocols")).ShouldContain("text_poke_bp_list() in arch/x86/kernel/alternative.c, the seed's patch 3/8");
        (await _lab.Text("#!lab costs")).ShouldContain("loaded-24");
        (await _lab.Text("#!lab loaded-24")).ShouldContain("interrupts off, mean");
        (await _lab.Text("#!lab models")).ShouldContain("sdm-worst");
        (await _lab.Text("#!lab workloads")).ShouldContain("running");
        var patch = await _lab.Text("#!lab patch");
        patch.ShouldContain("text_poke_bp_list");
        patch.ShouldEndWith("#!patch --engine text_poke_bp_list --back");
    }

    [Fact]
    public async Task Every_example_of_every_magic_can_be_parsed()
    {
        var table = LabMagics.Table();
        foreach (var example in table.SelectMany(magic => magic.Examples))
            MagicLine.Parse(example, table).Magic.Directive.ShouldBe(example.Split(' ')[0]);
        await Task.CompletedTask;
    }
}
