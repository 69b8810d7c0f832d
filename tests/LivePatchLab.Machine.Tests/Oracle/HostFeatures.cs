using System.Runtime.Intrinsics.X86;
using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// What the host's processor says of itself (CPUID), for instructions that another processor may lack. It is asked and not tried: without
/// BMI1 and LZCNT the bytes of TZCNT and LZCNT are those of BSF and BSR with a prefix that nobody looks at.
/// </summary>
internal static class HostFeatures
{
    private const uint Standard = 1, Structured = 7, Extended = 0x8000_0001;

    /// <summary>True for what every x86-64 processor has, too.</summary>
    public static bool Has(CpuidFeature feature) => feature switch
    {
        CpuidFeature.BMI1 => Ebx(Structured, 3),
        CpuidFeature.BMI2 => Ebx(Structured, 8),
        CpuidFeature.LZCNT => Ecx(Extended, 5),
        CpuidFeature.POPCNT => Ecx(Standard, 23),
        CpuidFeature.ADX => Ebx(Structured, 19),
        CpuidFeature.FSGSBASE => Ebx(Structured, 0),
        CpuidFeature.MOVBE => Ecx(Standard, 22),
        CpuidFeature.CMPXCHG16B => Ecx(Standard, 13),
        CpuidFeature.CLFLUSHOPT => Ebx(Structured, 23),
        CpuidFeature.CLWB => Ebx(Structured, 24),
        CpuidFeature.SERIALIZE => (Ask(Structured).Edx & (1 << 14)) != 0,
        _ => true,
    };

    private static bool Ebx(uint leaf, int bit) => (Ask(leaf).Ebx & (1 << bit)) != 0;

    private static bool Ecx(uint leaf, int bit) => (Ask(leaf).Ecx & (1 << bit)) != 0;

    private static (int Eax, int Ebx, int Ecx, int Edx) Ask(uint leaf)
    {
        var largest = (uint)X86Base.CpuId((int)(leaf & 0x8000_0000), 0).Eax;
        return leaf <= largest ? X86Base.CpuId((int)leaf, 0) : default;
    }
}
