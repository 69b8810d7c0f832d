namespace LivePatchLab.Machine.Tests;

/// <summary>An engine, and the processor that its translator takes the host's for.</summary>
internal readonly record struct TestedEngine(ExecutionEngine Kind, NativeHost Host)
{
    public static implicit operator TestedEngine(ExecutionEngine engine) => new(engine, NativeHost.Own);

    public override string ToString() => Host == NativeHost.Own || Kind == ExecutionEngine.Interpreter ? Kind.ToString() : $"{Kind} ({OtherHosts.NameOf(Host)})";
}
