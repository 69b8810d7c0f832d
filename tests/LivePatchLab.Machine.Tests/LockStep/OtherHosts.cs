using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>Processors that are not there. What is right on them is right on both makes, whichever the host has.</summary>
internal static class OtherHosts
{
    /// <summary>As the host is.</summary>
    public const string Own = "own";

    /// <summary>Leaves every flag that is undefined otherwise than the lab has it.</summary>
    public const string Differing = "differing";

    /// <summary>As the host is, but for what may be undefined: that is put right though it may be right.</summary>
    public const string Repairing = "repairing";

    /// <summary>Has none of the extensions that the translator can do without.</summary>
    public const string Older = "older";

    public static IReadOnlyDictionary<string, NativeHost> All { get; } = new Dictionary<string, NativeHost>
    {
        [Own] = NativeHost.Own,
        [Differing] = new() { DiffersInUndefinedFlags = true },
        [Repairing] = new() { RepairsAllUndefinedFlags = true },
        [Older] = new() { Lacks = new HashSet<CpuidFeature> { CpuidFeature.BMI1, CpuidFeature.LZCNT, CpuidFeature.POPCNT, CpuidFeature.ADX, CpuidFeature.MOVBE } },
    };

    public static string NameOf(NativeHost host) => All.First(named => named.Value == host).Key;
}
