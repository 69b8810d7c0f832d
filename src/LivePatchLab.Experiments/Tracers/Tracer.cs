namespace LivePatchLab.Experiments;

/// <summary>A tracer of Linux's ftrace, as /sys/kernel/debug/tracing/current_tracer names it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="HooksFunctions">True where turning it on has every traced function call ftrace, and turning it off takes the calls back.</param>
/// <param name="Hooks">What it hangs on, in a few words.</param>
public sealed record Tracer(string Name, bool HooksFunctions, string Hooks)
{
    public override string ToString() => $"{Name}: {Hooks}";
}
