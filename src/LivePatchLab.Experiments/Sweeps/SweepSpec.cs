using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments;

/// <summary>What a sweep runs: every engine with every number of sites, of CPUs, and every seed.</summary>
public sealed partial record SweepSpec
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    };

    /// <summary>Protocols by name.</summary>
    public required IReadOnlyList<string> Engines { get; init; }

    public required IReadOnlyList<int> Sites { get; init; }

    public required IReadOnlyList<int> Cpus { get; init; }

    public IReadOnlyList<ulong> Seeds { get; init; } = [1];

    /// <summary>A cost preset by name.</summary>
    public string Costs { get; init; } = "quiet-4";

    /// <summary>A fetch model by name.</summary>
    public string Fetch { get; init; } = "sdm-worst";

    /// <summary>A workload by name; null for what the cost preset says.</summary>
    public string? Workload { get; init; }

    /// <summary>How many runs that makes.</summary>
    [JsonIgnore]
    public long RunCount => (long)Engines.Count * Sites.Count * Cpus.Count * Seeds.Count;

    /// <summary>Reads a specification from its JSON.</summary>
    /// <exception cref="BadInputException">It is none, or names what there is not.</exception>
    public static SweepSpec Parse(string json, string sourceName)
    {
        try
        {
            var spec = JsonSerializer.Deserialize<SweepSpec>(json, Options) ?? throw new BadInputException($"{sourceName}: is empty; give an object with engines, sites and cpus");
            _ = spec.Points();
            return spec;
        }
        catch (JsonException e)
        {
            throw new BadInputException($"{sourceName}:{(e.LineNumber ?? 0) + 1}: {Reason(e)}; a sweep is an object with engines, sites, cpus and, if you like, seeds, costs, fetch, workload");
        }
    }

    /// <summary>What System.Text.Json says, without the names of our types.</summary>
    private static string Reason(JsonException e)
    {
        var text = e.Message.Split(" Path:")[0].Split(" LineNumber:")[0].TrimEnd('.');
        if (UnknownProperty().Match(text) is { Success: true } unknown) return $"there is nothing named '{unknown.Groups[1].Value}'";
        if (text.StartsWith("The JSON value could not be converted", StringComparison.Ordinal)) return $"the value of {e.Path?.TrimStart('$', '.')} is of the wrong kind";
        if (MissingProperties().Match(text) is { Success: true } missing) return $"not given: {missing.Groups[1].Value}";
        return text;
    }

    /// <summary>The single runs, in the order of their results.</summary>
    /// <exception cref="BadInputException">A name or number of the specification is none.</exception>
    public IReadOnlyList<SweepPoint> Points()
    {
        // JSON may say null where a list or a name must be.
        if (Engines is null || Sites is null || Cpus is null || Seeds is null || Costs is null || Fetch is null || Engines.Contains(null!))
            throw new BadInputException("a sweep's engines, sites, cpus, seeds, costs and fetch may be left out or given, but not be null");
        if (Engines.Count == 0 || Sites.Count == 0 || Cpus.Count == 0 || Seeds.Count == 0)
            throw new BadInputException("a sweep needs at least one engine, number of sites, number of CPUs, and seed");
        foreach (var cpus in Cpus)
            if (cpus is < 1 or > MachineOptions.CpusMax) throw new BadInputException($"{cpus} CPUs: a machine has 1 to {MachineOptions.CpusMax} CPUs");
        foreach (var sites in Sites)
            if (sites is < 1 or > SitePopulation.SitesMax) throw new BadInputException($"{sites} sites: an experiment takes 1 to {SitePopulation.SitesMax} sites");
        var costs = CostPreset.Named(Costs);
        var fetch = Suggestion.Find(FetchModel.Presets, m => m.Name, Fetch, "fetch model");
        Workload? workload = Workload is null ? null : Workloads.Named(Workload);
        return
        [
            .. from engine in Engines.Select(Protocols.Named)
               from sites in Sites
               from cpus in Cpus
               from seed in Seeds
               select new SweepPoint(engine, new LabMachineOptions { Cpus = cpus, Sites = sites, Seed = new(seed), Costs = costs, Fetch = fetch, Workload = workload }),
        ];
    }

    [GeneratedRegex("^The JSON property '([^']*)' could not be mapped")]
    private static partial Regex UnknownProperty();

    [GeneratedRegex("missing required properties including: (.*)$")]
    private static partial Regex MissingProperties();
}

/// <summary>One run of a sweep: a protocol on a machine of its own.</summary>
public sealed record SweepPoint(IPatchProtocol Engine, LabMachineOptions Machine)
{
    /// <summary>Makes the machine and turns tracing on at all its sites.</summary>
    public PatchRun Run(CancellationToken cancellation = default)
    {
        using var lab = new LabMachine(Machine);
        return lab.Switch(Engine, enable: true, cancellation);
    }
}
