namespace LivePatchLab.Machine;

/// <summary>
/// The wish to stop of whoever is above a machine: a notebook's cell, say, whose author runs machines without handing a token down. It follows the flow of
/// execution, new threads and awaits included; every run of a machine below it looks at it, beside the token that it was given.
/// </summary>
public sealed class CallerCancellation(CancellationToken token)
{
    private static readonly AsyncLocal<CallerCancellation?> Here = new();
    private int _listening;

    /// <summary>The one that the current flow of execution is under, or null.</summary>
    public static CallerCancellation? Current
    {
        get => Here.Value;
        set => Here.Value = value;
    }

    public CancellationToken Token => token;

    /// <summary>Whether a machine is running that will see the token fire and end in order, so that nothing harsher should be done to it.</summary>
    public bool IsListenedTo => Volatile.Read(ref _listening) > 0;

    internal void StartListening() => Interlocked.Increment(ref _listening);

    internal void StopListening() => Interlocked.Decrement(ref _listening);
}
