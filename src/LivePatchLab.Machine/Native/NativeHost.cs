using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// What the processor that translated code runs on can do, and how it leaves the flags that the SDM leaves undefined. <see cref="Own"/> is the host's; others
/// let tests go the ways of processors that are not there.
/// </summary>
internal sealed class NativeHost
{
    public static NativeHost Own { get; } = new();

    /// <summary>True to have every flag that an instruction leaves undefined come out otherwise than the lab has it, as on no processor that there is.</summary>
    public bool DiffersInUndefinedFlags { get; init; }

    /// <summary>True to put every such flag right though it may be as the lab has it: what the repairs cost at the most, on whatever make.</summary>
    public bool RepairsAllUndefinedFlags { get; init; }

    /// <summary>Extensions that are not to be used though they may be there.</summary>
    public IReadOnlySet<CpuidFeature> Lacks { get; init; } = new HashSet<CpuidFeature>();

    /// <summary>Why it cannot run translated code; null when it can.</summary>
    public string? Obstacle => HostSystem.Obstacle ?? (Has(CpuidFeature.BMI2) ? null : "it needs a processor with BMI2");

    /// <summary>True where the processor has all that a code is part of. An extension that is not named below counts as missing.</summary>
    public bool Has(Code code)
    {
        foreach (var feature in code.CpuidFeatures())
            if (!Has(feature)) return false;
        return true;
    }

    private bool Has(CpuidFeature feature) => !Lacks.Contains(feature) && feature switch
    {
        CpuidFeature.INTEL8086 or CpuidFeature.INTEL186 or CpuidFeature.INTEL286 or CpuidFeature.INTEL386 or CpuidFeature.INTEL486 => true,
        CpuidFeature.X64 or CpuidFeature.CMOV => true,
        CpuidFeature.BMI1 => Bmi1.X64.IsSupported,
        CpuidFeature.BMI2 => Bmi2.X64.IsSupported,
        CpuidFeature.LZCNT => Lzcnt.X64.IsSupported,
        CpuidFeature.POPCNT => Popcnt.X64.IsSupported,
        _ => false,
    };
}
