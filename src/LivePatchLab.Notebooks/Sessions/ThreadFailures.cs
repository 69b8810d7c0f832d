using System.Runtime.ExceptionServices;

namespace LivePatchLab.Notebooks;

/// <summary>
/// An exception that leaves a thread of the user's would end the process, and with it all variables. While the lab runs cells it ends that thread alone, and is told of under
/// the cell that has started it. What goes wrong on a thread of the lab's own still ends the process: nobody could say what else is wrong then.
/// </summary>
public static class ThreadFailures
{
    private static int _isInstalled;

    /// <summary>For processes that run cells; once is enough.</summary>
    public static void Install()
    {
        // .NET takes one handler in the life of a process.
        if (Interlocked.Exchange(ref _isInstalled, 1) == 0)
            ExceptionHandling.SetUnhandledExceptionHandler(Tell);
    }

    private static bool Tell(Exception exception)
    {
        var cause = CellErrors.Unwrapped(exception);
        var thrown = CellErrors.ThrownIn(cause);

        // A timer has forgotten its cell by the time it is asked; but what was thrown in a cell's code is the user's.
        if ((CellScope.Current ?? (thrown is not null ? CellScope.Latest : null)) is not { } scope)
            return false;
        var place = thrown is not null ? $" ({thrown})" : "";
        scope.Write(StreamOutput.Stderr, $"a thread of this cell has ended with {cause.GetType().Name}: {CellErrors.OneLine(cause.Message)}{place}\n");
        return true;
    }
}
