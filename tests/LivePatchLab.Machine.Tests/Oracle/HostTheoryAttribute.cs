namespace LivePatchLab.Machine.Tests;

/// <summary>A test that asks the processor it runs on, and is skipped where that is no x86-64 under Linux.</summary>
public sealed class HostTheoryAttribute : TheoryAttribute
{
    public HostTheoryAttribute()
    {
        if (!HostProcessor.IsUsable) Skip = HostFactAttribute.Reason;
    }
}

/// <summary>The same for a test without data.</summary>
public sealed class HostFactAttribute : FactAttribute
{
    internal const string Reason = "needs an x86-64 processor and Linux";

    public HostFactAttribute()
    {
        if (!HostProcessor.IsUsable) Skip = Reason;
    }
}
