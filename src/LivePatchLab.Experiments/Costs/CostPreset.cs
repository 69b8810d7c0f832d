using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>A kind of machine to run experiments on: what things cost there, and how busy its CPUs are.</summary>
/// <param name="Costs">The figures.</param>
/// <param name="Load">How the CPUs keep their interrupts off, or null where they are idle unless they run guest code.</param>
public sealed record CostPreset(CostModel Costs, InterruptLoad? Load)
{
    public string Name => Costs.Name;

    public static CostPreset Unit { get; } = new(CostModel.Unit, null);

    public static CostPreset Seed2013 { get; } = Seed2013Machine.Preset;

    public static CostPreset Quiet4 { get; } = Quiet4Machine.Preset;

    public static CostPreset Loaded24 { get; } = Loaded24Machine.Preset;

    public static CostPreset Kvm2 { get; } = Kvm2Machine.Preset;

    public static IReadOnlyList<CostPreset> All { get; } = [Seed2013, Quiet4, Loaded24, Kvm2, Unit];

    /// <summary>The preset of a name.</summary>
    /// <exception cref="BadInputException">There is none; the message names the nearest.</exception>
    public static CostPreset Named(string name) => Suggestion.Find(All, p => p.Name, name, "cost model");
}
