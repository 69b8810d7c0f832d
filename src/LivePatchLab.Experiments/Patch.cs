using LivePatchLab.Linux;

namespace LivePatchLab.Experiments;

/// <summary>Where a patching operation begins in a cell: <c>Patch.All("ftrace").With(Protocols.TextPokeBpList).Run(machine)</c>.</summary>
public static class Patch
{
    /// <summary>The kinds of sites that a machine of the lab can switch.</summary>
    public static IReadOnlyList<string> Kinds { get; } = ["ftrace"];

    /// <summary>Every site of a kind.</summary>
    /// <exception cref="BadInputException">There is no such kind.</exception>
    public static PatchSelection All(string kind = "ftrace") => new(Suggestion.Find(Kinds, k => k, kind, "kind of site"), null);

    /// <summary>The sites with the lowest addresses.</summary>
    /// <exception cref="BadInputException">There is no such kind, or no site is asked for.</exception>
    public static PatchSelection First(int sites, string kind = "ftrace")
        => sites >= 1 ? All(kind) with { Sites = sites } : throw new BadInputException($"{sites} sites: a patch takes at least 1");
}

/// <summary>Which sites to patch.</summary>
/// <param name="Kind">Of which kind.</param>
/// <param name="Sites">How many, counted from the first; null for all that the machine has.</param>
public sealed record PatchSelection(string Kind, int? Sites)
{
    /// <summary>How they are patched.</summary>
    public PatchPlan With(Patching.IPatchProtocol protocol) => new(this, protocol);

    /// <summary>How they are patched, by the protocol's name.</summary>
    /// <exception cref="BadInputException">There is none; the message names the nearest.</exception>
    public PatchPlan With(string protocol) => With(Patching.Protocols.Named(protocol));

    public override string ToString() => Sites is { } sites ? $"the first {sites} {Kind} sites" : $"all {Kind} sites";
}
