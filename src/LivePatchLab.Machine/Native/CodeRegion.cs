namespace LivePatchLab.Machine;

/// <summary>
/// Host addresses for translated code, one region a process, so that a signal handler can tell by one comparison whether a fault is
/// a guest's. Each machine has a slot of it.
/// </summary>
internal static unsafe class CodeRegion
{
    /// <summary>What one machine's translations may take. Pages appear when they are written.</summary>
    public const long SlotBytes = 64L << 20;

    private const int Slots = 1024;

    private static readonly Lock Taking = new();
    private static readonly Stack<int> Free = new(Enumerable.Range(0, Slots).Reverse());

    public static long Bytes => Slots * SlotBytes;

    public static byte* Start { get; } = HostSystem.Map(null, Slots * SlotBytes, HostSystem.ProtNone, HostSystem.MapPrivate | HostSystem.MapAnonymous | HostSystem.MapNoReserve, -1);

    /// <summary>A slot nobody uses; null when there is none.</summary>
    public static byte* TryTake()
    {
        lock (Taking) return Free.TryPop(out var slot) ? Start + (slot * SlotBytes) : null;
    }

    /// <summary>Gives a slot back: nothing may be executed there any more.</summary>
    public static void Return(byte* slot)
    {
        HostSystem.Map(slot, SlotBytes, HostSystem.ProtNone, HostSystem.MapPrivate | HostSystem.MapAnonymous | HostSystem.MapNoReserve | HostSystem.MapFixed, -1);
        lock (Taking) Free.Push((int)((slot - Start) / SlotBytes));
    }
}
