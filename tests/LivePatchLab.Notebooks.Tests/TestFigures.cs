namespace LivePatchLab.Notebooks.Tests;

internal static class TestFigures
{
    public static Figure Syncs => new Figure("Synchronisations per protocol")
        .X("patched sites", scale: Scale.Log).Y("simulated time", "s", Scale.Log)
        .Line("text_poke_bp", [(1, 3e-6), (10, 3e-5), (1_000, 3e-3), (35_051, 0.105)])
        .Line("text_poke_bp_list", [(1, 3e-6), (10, 4e-6), (1_000, 6e-5), (35_051, 1.9e-3)])
        .Range("stop_machine", [(1, 4e-4, 5e-4, 7e-4), (10, 4e-4, 5e-4, 7e-4), (1_000, 5e-4, 6e-4, 9e-4), (35_051, 2e-3, 3e-3, 8e-3)])
        .Says("One pair of IPIs per site grows with the number of sites; the list needs three in all.");

    public static Figure Hits => new Figure("int3 hits by workload <b>")
        .Y("int3 hits")
        .Bars("text_poke_bp", [("idle", 0), ("one hot loop", 412), ("syscalls on every processor", 18_300), ("mixed", 5_021), ("interrupt storm", 990), ("page faults", 77)])
        .Bars("text_poke_bp_list", [("idle", 0), ("one hot loop", 212), ("syscalls on every processor", 9_100), ("mixed", 2_100), ("interrupt storm", 400), ("page faults", 12)]);

    public static Figure Models => new Figure("Runs in a thousand that break").X("fetch model").Y("protocol")
        .Heatmap("violations", ["ideal", "intel-practice", "amd-async", "sdm-worst"], ["stop_machine", "text_poke_bp", "text_poke_bp_list", "no sync at all"],
            [[0, 0, 0, 0], [0, 0, 1, 3], [0, 0, 2, 5], [0, 120, 410, 1000]]);

    public static Figure Cpus => new Figure("Cost of a round").X("CPUs").Y("stalled", "cycles")
        .Points("measured", Enumerable.Range(1, 16).Select(n => ((double)n, 900.0 + (n * 210))));
}
