namespace LivePatchLab.Frontends.Tests;

/// <summary>A test that needs programs of Debian's; where one is missing, it is skipped and says so.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class FrontendFactAttribute : FactAttribute
{
    /// <param name="packages">The names of their packages.</param>
    public FrontendFactAttribute(params string[] packages) => Skip = FrontendTheoryAttribute.Reason(packages);
}

/// <summary>The same for a test with cases.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class FrontendTheoryAttribute : TheoryAttribute
{
    /// <param name="packages">The names of their packages.</param>
    public FrontendTheoryAttribute(params string[] packages) => Skip = Reason(packages);

    internal static string? Reason(string[] packages)
    {
        var missing = string.Join(' ', Debian.Missing(packages));
        return missing.Length == 0 ? null : $"not here: apt-get install {missing}";
    }
}
