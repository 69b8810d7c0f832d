namespace LivePatchLab.Machine.Tests;

/// <summary>A fact about the translator; skipped on hosts that cannot run it.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TranslatorFactAttribute : FactAttribute
{
    public TranslatorFactAttribute()
    {
        if (!Engines.Here.Contains(ExecutionEngine.Translator)) Skip = "this host cannot run translated code";
    }
}
