using System.Runtime.CompilerServices;

namespace LivePatchLab.Notebooks;

/// <summary>How much of its stack a thread has left. A stack that runs out ends the process, and .NET gives nobody a chance to catch it.</summary>
internal static unsafe class CellStack
{
    /// <summary>Of a thread that runs a cell's code.</summary>
    public const int Bytes = 64 << 20;

    // Some thousand calls, about what a thread of .NET's has by default: out of all of the stack an exception takes minutes, a frame at a time. What the cell's code calls has the rest.
    private const int UsableBytes = 1 << 20;

    [ThreadStatic]
    private static nint _end;

    /// <summary>To be called first on a thread that has been made with <see cref="Bytes"/>.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Begin()
    {
        byte here;
        _end = (nint)(&here) - UsableBytes;
    }

    /// <summary>Another thread than a cell's own, of whatever size, has room as long as the run-time says so.</summary>
    public static bool HasRoom()
    {
        byte here;
        return _end != 0 ? (nint)(&here) > _end : RuntimeHelpers.TryEnsureSufficientExecutionStack();
    }
}
