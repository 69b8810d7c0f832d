using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct JumpCacheEntry
{
    public ulong Rip;
    public Op* Block;
}

/// <summary>Where indirect jumps and returns find the block of their target: one slot an address, the last one found there wins.</summary>
internal static unsafe class JumpCache
{
    public const int Entries = 16384;

    public static JumpCacheEntry* Slot(JumpCacheEntry* cache, ulong rip) => cache + ((rip ^ (rip >> 14)) & (Entries - 1));

    public static JumpCacheEntry* Allocate()
    {
        // Zeros that nobody has looked at yet cost the host nothing, and a machine that is explored never looks.
        var cache = (JumpCacheEntry*)NativeMemory.AllocZeroed(Entries, (nuint)sizeof(JumpCacheEntry));
        Empty(cache, cache);
        return cache;
    }

    public static void Clear(JumpCacheEntry* cache)
    {
        // Address 0 is looked for in the first slot only, so in all others zero is as good as any address of another slot's.
        NativeMemory.Clear(cache, Entries * (nuint)sizeof(JumpCacheEntry));
        Empty(cache, cache);
    }

    /// <summary>Has a slot hold nothing: it gets an address of the next slot's, which is never looked for here. Any other, a guest could jump to.</summary>
    public static void Empty(JumpCacheEntry* cache, JumpCacheEntry* slot) => *slot = new() { Rip = (ulong)((slot - cache + 1) & (Entries - 1)) };
}
