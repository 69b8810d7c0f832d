namespace LivePatchLab.Machine.Tests;

/// <summary>A test that asks the processor it runs on, and is skipped where that is no x86-64 under Linux.</summary>
public sealed class HostTheoryAttribute : TheoryAttribute
{
    public HostTheoryAttribute()
    {
        if (!HostProcessor.IsUsable) Skip = "needs an x86-64 processor and Linux";
    }
}
