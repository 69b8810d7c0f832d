namespace LivePatchLab.Linux.Tests;

/// <summary>
/// A test on a real Debian kernel. It is looked for in the folder that LIVEPATCH_KERNELS names, then in /boot; where it is not, the
/// test is skipped and says so.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class KernelFactAttribute : FactAttribute
{
    public KernelFactAttribute(string pattern = KernelFolder.Cloud61)
    {
        Skip = KernelFolder.WhyNot(pattern);
    }
}

/// <summary>The same for a test of many cases.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class KernelTheoryAttribute : TheoryAttribute
{
    public KernelTheoryAttribute(string pattern = KernelFolder.Cloud61)
    {
        Skip = KernelFolder.WhyNot(pattern);
    }
}

internal static class KernelFolder
{
    public const string Cloud61 = "vmlinuz-6.1*-cloud-amd64";
    public const string ExactCloud61 = "vmlinuz-6.1.0-56-cloud-amd64";
    public const string ExactGeneric61 = "vmlinuz-6.1.0-56-amd64";
    public const string ExactCloud612 = "vmlinuz-6.12.117+deb12-cloud-amd64";

    /// <summary>Null where the kernel is at hand; else what to do about it.</summary>
    public static string? WhyNot(string pattern) => Find(pattern) is null
        ? $"no {pattern} in LIVEPATCH_KERNELS or /boot: apt-get install linux-image-cloud-amd64, or unpack its package and set LIVEPATCH_KERNELS"
        : null;

    public static string? Find(string pattern)
    {
        foreach (var folder in (string?[])[Environment.GetEnvironmentVariable("LIVEPATCH_KERNELS"), "/boot"])
        {
            if (!Directory.Exists(folder)) continue;
            var found = Directory.GetFiles(folder, pattern).Order(StringComparer.Ordinal).LastOrDefault();
            if (found is not null) return found;
        }

        return null;
    }

    public static KernelImage Open(string pattern) => KernelImage.Open(Find(pattern) ?? throw new InvalidOperationException($"no {pattern}"));
}
