namespace LivePatchLab.Notebooks.Tests;

/// <summary>A test that draws with a headless Chromium; without one it is skipped and says so.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ChromiumFactAttribute : FactAttribute
{
    public ChromiumFactAttribute()
    {
        if (HeadlessChromium.Find() is null) Skip = "Chromium is not here: apt-get install chromium";
    }
}
