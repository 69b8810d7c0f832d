using System.Numerics;

namespace LivePatchLab.Jupyter;

/// <summary>The kernel's own lines, on stderr, where Jupyter's log has them.</summary>
internal static class KernelLog
{
    /// <summary>How many dropped messages are told one by one; after that, each time their number has doubled.</summary>
    private const long EachUpTo = 16;

    private static long _dropped;

    public static void Say(string line) => Console.Error.WriteLine("livepatch: " + line.ReplaceLineEndings(" "));

    /// <summary>A message that nobody is answered for. Somebody who sends many of them must not fill the disk with our log.</summary>
    public static void Dropped(string reason)
    {
        var count = Interlocked.Increment(ref _dropped);
        if (count <= EachUpTo || BitOperations.IsPow2(count)) Say($"a message is dropped (number {count}): {reason}");
    }
}
