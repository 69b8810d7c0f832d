using System.Reflection;
using System.Text.RegularExpressions;
using Xunit.Sdk;

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

/// <summary>One case of a theory on several kernels; its first argument is the pattern. It is skipped alone where that kernel is missing.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
public sealed class KernelDataAttribute : DataAttribute
{
    private readonly object[] _row;

    public KernelDataAttribute(string pattern, params object[] more)
    {
        _row = [pattern, .. more];
        Skip = KernelFolder.WhyNot(pattern);
    }

    public override IEnumerable<object[]> GetData(MethodInfo testMethod) => [_row];
}

internal static partial class KernelFolder
{
    public const string Cloud510 = "vmlinuz-5.10.*-cloud-amd64";
    public const string Cloud61 = "vmlinuz-6.1.*-cloud-amd64";
    public const string Generic61 = "vmlinuz-6.1.0-??-amd64";
    public const string Cloud612 = "vmlinuz-6.12.*-cloud-amd64";
    public const string Cloud7 = "vmlinuz-7.*-cloud-amd64";

    // The releases whose exact counts are known; tests/kernels.sh fetches them.
    public const string ExactCloud510 = "vmlinuz-5.10.0-46-cloud-amd64";
    public const string ExactCloud61 = "vmlinuz-6.1.0-56-cloud-amd64";
    public const string ExactGeneric61 = "vmlinuz-6.1.0-56-amd64";
    public const string ExactCloud612 = "vmlinuz-6.12.117+deb12-cloud-amd64";
    public const string ExactCloud7 = "vmlinuz-7.2.13+deb14-cloud-amd64";

    private static readonly (string Series, string Exact)[] Known =
    [
        (Cloud510, ExactCloud510), (Cloud61, ExactCloud61), (Generic61, ExactGeneric61), (Cloud612, ExactCloud612), (Cloud7, ExactCloud7),
    ];

    /// <summary>The image whose counts are known, of the same series.</summary>
    public static string ExactOf(string pattern) => Known.Single(known => known.Series == pattern || known.Exact == pattern).Exact;

    /// <summary>Null where the kernel is at hand; else what to do about it.</summary>
    public static string? WhyNot(string pattern)
    {
        if (Find(pattern) is not null) return null;
        var series = Known.FirstOrDefault(known => known.Exact == pattern).Series;
        return series is not null && Find(series) is { } other
            ? $"{Path.GetFileName(other)} is here, but what is compared is of {pattern}"
            : $"no {pattern} in LIVEPATCH_KERNELS or /boot: tests/run.sh fetches it; or unpack its Debian package and set LIVEPATCH_KERNELS";
    }

    /// <summary>The release whose counts are known, where it is of that pattern and at hand; else the newest.</summary>
    public static string? Find(string pattern)
    {
        foreach (var folder in (string?[])[Environment.GetEnvironmentVariable("LIVEPATCH_KERNELS"), "/boot"])
        {
            if (!Directory.Exists(folder)) continue;
            var found = Directory.GetFiles(folder, pattern)
                .OrderBy(path => Known.Any(known => known.Exact == Path.GetFileName(path)))
                .ThenBy(path => Number().Replace(Path.GetFileName(path), match => match.Value.PadLeft(9, '0')), StringComparer.Ordinal)
                .LastOrDefault();
            if (found is not null) return found;
        }

        return null;
    }

    public static KernelImage Open(string pattern) => KernelImage.Open(Find(pattern) ?? throw new InvalidOperationException($"no {pattern}"));

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Number();
}
