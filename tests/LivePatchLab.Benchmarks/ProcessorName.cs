using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;

namespace LivePatchLab.Benchmarks;

/// <summary>Which processor measures: no figure of one is said of another.</summary>
internal static class ProcessorName
{
    private const int BrandLeaf = unchecked((int)0x8000_0002), LastExtendedLeaf = unchecked((int)0x8000_0000);

    public static string Here { get; } = $"{(X86Base.IsSupported ? Ask() : RuntimeInformation.ProcessArchitecture.ToString())}, {Environment.ProcessorCount} cores seen";

    /// <summary>The brand, which is no more than a name on a virtual machine, and vendor, family and model (SDM vol. 2, CPUID; APM vol. 3, appendix E).</summary>
    private static string Ask()
    {
        var (_, b, c, d) = X86Base.CpuId(0, 0);
        var vendor = Text(b, d, c);
        var signature = X86Base.CpuId(1, 0).Eax;
        var family = (signature >> 8) & 15;
        var model = (signature >> 4) & 15;
        if (family is 6 or 15) model |= (signature >> 12) & 0xf0;
        if (family == 15) family += (signature >> 20) & 255;
        var brand = "";
        if ((uint)X86Base.CpuId(LastExtendedLeaf, 0).Eax >= unchecked((uint)BrandLeaf + 2))
        {
            for (var leaf = 0; leaf < 3; leaf++)
            {
                var part = X86Base.CpuId(BrandLeaf + leaf, 0);
                brand += Text(part.Eax, part.Ebx, part.Ecx, part.Edx);
            }
        }

        return FormattableString.Invariant($"{brand.Trim('\0', ' ')} ({vendor} family {family} model {model} stepping {signature & 15})").Trim();
    }

    private static string Text(params ReadOnlySpan<int> words) => Encoding.ASCII.GetString(MemoryMarshal.AsBytes(words));
}
