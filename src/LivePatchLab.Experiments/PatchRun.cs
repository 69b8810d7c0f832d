using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments;

/// <summary>What one patching operation did and cost.</summary>
public sealed record PatchRun
{
    /// <summary>The protocol's name.</summary>
    public required string Engine { get; init; }

    public required int Sites { get; init; }

    public required int Cpus { get; init; }

    public required Seed Seed { get; init; }

    public required string CostModel { get; init; }

    public required string FetchModel { get; init; }

    public required string Workload { get; init; }

    /// <summary>Rounds in which every CPU was made to serialise.</summary>
    public required long SyncRounds { get; init; }

    /// <summary>Bytes of text written.</summary>
    public required long BytesWritten { get; init; }

    /// <summary>From the patcher's first step to its last, by its CPU's clock.</summary>
    public required long SimulatedCycles { get; init; }

    /// <summary>What the cycles stand for.</summary>
    public required CostModel Costs { get; init; }

    /// <summary>What it took here; the one field that two equal runs do not share.</summary>
    public required double HostSeconds { get; init; }

    /// <summary>The account by phase and CPU.</summary>
    public required IReadOnlyList<PhaseAccount> Phases { get; init; }

    /// <summary>How the protocol failed, or null.</summary>
    public PatchFailure? Failure { get; init; }

    /// <summary>What the kernel's BUG_ON() found, or null.</summary>
    public string? Bug { get; init; }

    /// <summary>What was seen that must not happen, or null.</summary>
    public Violation? Violation { get; init; }

    /// <summary>The machine's fingerprint afterwards.</summary>
    public required StateHash StateHash { get; init; }

    /// <summary>IPIs sent, one a target.</summary>
    public long Ipis => Phases.Sum(p => p.Total().IpisSent);

    public long Int3Hits => Phases.Sum(p => p.Total().Breakpoints);

    public double SimulatedSeconds => Costs.SecondsOf(SimulatedCycles);

    /// <summary>IPIs that a CPU other than the patcher's took, on average: what /proc/interrupts shows as CAL.</summary>
    public double IpisPerCpu => Cpus > 1 ? (double)Ipis / (Cpus - 1) : 0;

    /// <summary>True when the operation ended as it should and nothing was seen that must not be.</summary>
    public bool IsGood => Failure is null && Bug is null && Violation is null;

    /// <summary>The fields of the command line's JSON, in their order.</summary>
    /// <param name="withHostSeconds">False for a text that is the same for equal runs.</param>
    public JsonObject ToJson(bool withHostSeconds = true)
    {
        var json = new JsonObject
        {
            ["engine"] = Engine,
            ["sites"] = Sites,
            ["cpus"] = Cpus,
            ["syncRounds"] = SyncRounds,
            ["ipis"] = Ipis,
            ["int3Hits"] = Int3Hits,
            ["bytesWritten"] = BytesWritten,
            ["simulatedSeconds"] = SimulatedSeconds,
        };
        if (withHostSeconds) json["hostSeconds"] = HostSeconds;
        json["phases"] = new JsonArray([.. Phases.Where(p => p.Name.Length > 0).Select(PhaseToJson)]);
        json["failure"] = FailureToJson();
        json["violation"] = Violation is null ? null : new JsonObject { ["kind"] = JsonNamingPolicy.CamelCase.ConvertName(Violation.Kind.ToString()), ["detail"] = Violation.ToString() };
        json["seed"] = Seed.Value;
        json["costModel"] = CostModel;
        json["fetchModel"] = FetchModel;
        json["workload"] = Workload;
        json["stateHash"] = StateHash.ToString();
        return json;
    }

    public override string ToString()
    {
        var outcome = Violation is not null ? $" VIOLATION: {Violation}"
            : Bug is not null ? $" BUG: {Bug}"
            : Failure is not null ? $" FAILED: {Failure}"
            : "";
        return string.Create(CultureInfo.InvariantCulture, $"{Engine} on {Plural(Sites, "site")}, {Plural(Cpus, "CPU")}: {Plural(SyncRounds, "sync")}, {Plural(Ipis, "IPI")}, {Plural(Int3Hits, "int3 hit")}, {Duration.Show(SimulatedSeconds)} simulated{outcome}");
    }

    private static string Plural(long count, string what) => string.Create(CultureInfo.InvariantCulture, $"{count:N0} {what}{(count == 1 ? "" : "s")}");

    private JsonNode PhaseToJson(PhaseAccount phase)
    {
        var total = phase.Total();
        return new JsonObject
        {
            ["name"] = phase.Name,
            ["simulatedSeconds"] = Costs.SecondsOf(phase.DurationCycles),
            ["ipis"] = total.IpisSent,
            ["traps"] = total.Traps,
            ["stalledCycles"] = total.StalledCycles,
            ["perCpu"] = new JsonArray([.. phase.Cpus.Select((c, i) => new JsonObject { ["cpu"] = i, ["ipis"] = c.IpisTaken, ["traps"] = c.Traps, ["stalledCycles"] = c.StalledCycles })]),
        };
    }

    private JsonObject? FailureToJson()
    {
        if (Bug is not null) return new() { ["errno"] = null, ["step"] = Bug, ["failCount"] = null, ["failAddress"] = null, ["recovered"] = false };
        if (Failure is null) return null;
        return new()
        {
            ["errno"] = Linux.Errno.NameOf(Failure.Errno),
            ["step"] = Failure.Step,
            ["failCount"] = Failure.FailCount,
            ["failAddress"] = Failure.FailAddress.ToString(),
            ["recovered"] = Failure.Recovered,
        };
    }
}
