using LivePatchLab.Experiments;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Notebooks;

/// <summary>Parameters that several of the lab's magics have, so that they are called, listed and refused alike.</summary>
internal static class LabParameters
{
    public const string All = "all";

    public static MagicParameter Engine { get; } = new("engine", "the protocol that patches")
    {
        Default = "text_poke_bp_list",
        Values = ProtocolNames,
        Kind = "protocol",
        ListedBy = "#!lab protocols",
    };

    public static MagicParameter Engines { get; } = new("engines", "protocols, with commas between them; or all")
    {
        Required = true,
        Many = true,
        Values = () => [.. ProtocolNames(), All],
        Kind = "protocol",
        ListedBy = "#!lab protocols",
    };

    public static MagicParameter Costs { get; } = new("costs", "what things cost: the kind of computer that is simulated")
    {
        Default = "quiet-4",
        Values = () => CostPreset.All.Select(preset => preset.Name),
        Kind = "cost model",
        ListedBy = "#!lab costs",
    };

    public static MagicParameter Model { get; } = new("model", "what a CPU may see when it fetches code that is being changed")
    {
        Default = "sdm-worst",
        Values = () => FetchModel.Presets.Select(model => model.Name),
        Kind = "fetch model",
        ListedBy = "#!lab models",
    };

    public static MagicParameter Workload { get; } = new("workload", "what the CPUs do meanwhile; left out: loaded where the cost model knows a load, else idle")
    {
        Values = () => Enum.GetValues<Workload>().Select(workload => Workloads.NameOf(workload)),
    };

    /// <summary>The seed as the user wrote it; the whole range of 64 bits.</summary>
    public static Seed SeedOf(MagicCall call, string parameter)
    {
        var text = call.Text(parameter);
        return ulong.TryParse(text.Replace("_", "", StringComparison.Ordinal), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var seed)
            ? new(seed)
            : throw call.Refuse(parameter, $"'{text}' is no seed: a whole number of 0 or more");
    }

    /// <summary>How many sites, or null for all.</summary>
    public static int? SitesOf(MagicCall call, string parameter, int max)
        => call.Text(parameter) == All ? null : call.Count(parameter, 1, max);

    /// <summary>All are the kernel's own: the peers change only sites that are made for them.</summary>
    public static IReadOnlyList<string> EnginesOf(MagicCall call)
        => call.List(Engines.Name) is var given && given.Contains(All) ? [.. Protocols.Kernel.Select(protocol => protocol.Name)] : given;

    public static Workload? WorkloadOf(MagicCall call) => call.TextOrNull(Workload.Name) is { } name ? Workloads.Named(name) : null;

    private static IEnumerable<string> ProtocolNames() => Protocols.All.Select(protocol => protocol.Name);
}
