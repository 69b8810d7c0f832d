namespace LivePatchLab.Machine;

/// <summary>Sees what CPUs fetch from dirty lines.</summary>
internal interface IFetchObserver
{
    /// <summary>Called just before an instruction with a byte in a dirty line runs, with the bytes that the CPU got.</summary>
    void OnDirtyFetch(int cpu, GuestAddress rip, ReadOnlySpan<byte> bytes, FetchCoherence coherence);
}
