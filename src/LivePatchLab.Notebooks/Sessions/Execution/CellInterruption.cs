using System.ComponentModel;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>
/// What is written into every loop and every body of a cell before it is compiled: the place where an interrupt takes effect, and where a recursion without end is found
/// before it has used up the stack, which nobody could catch.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class CellInterruption
{
    private static int _asked;

    /// <exception cref="OperationCanceledException">The cell that this belongs to is to stop, and has not done so by itself.</exception>
    public static void Check()
    {
        // One load while nobody interrupts anything.
        if (Volatile.Read(ref _asked) == 0)
            return;
        UserCall.ThrowIfStopped();
        CallerCancellation.Current?.Token.ThrowIfCancellationRequested();
    }

    /// <summary>At the start of a body.</summary>
    /// <exception cref="OperationCanceledException">As <see cref="Check"/>.</exception>
    /// <exception cref="InsufficientExecutionStackException">The calls are so many that the stack is nearly used up.</exception>
    public static void Enter()
    {
        if (!CellStack.HasRoom())
            throw new InsufficientExecutionStackException("calls within calls have used up the stack; does something call itself without end?");
        Check();
    }

    internal static void Begin() => Interlocked.Increment(ref _asked);

    internal static void End() => Interlocked.Decrement(ref _asked);
}
