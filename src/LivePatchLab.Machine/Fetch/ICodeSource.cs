namespace LivePatchLab.Machine;

/// <summary>Where the interpreter gets instruction bytes that are not simply those in memory: the door to the fetch model.</summary>
internal interface ICodeSource
{
    /// <summary>True when some CPU may still see an older version of the 64-byte line of <paramref name="address"/>.</summary>
    bool IsDirty(GuestAddress address);

    /// <summary>
    /// Starts one instruction fetch of a CPU. The bytes are then asked one by one, in order, and a version is chosen for a
    /// chunk only when the first byte of it is asked, once; so what is asked of chance does not depend on what is cached.
    /// </summary>
    void BeginFetch(CpuId cpu, GuestAddress address);

    /// <summary>The byte at <paramref name="index"/> of the fetch begun last, or -1 where the page cannot be executed.</summary>
    int FetchByte(int index);

    /// <summary>A guest's own store is about to change bytes of an executable page: records the version, then writes.</summary>
    void StoreByGuest(CpuId cpu, GuestAddress address, ReadOnlySpan<byte> bytes);
}
