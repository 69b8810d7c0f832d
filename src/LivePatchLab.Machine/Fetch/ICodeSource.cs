namespace LivePatchLab.Machine;

/// <summary>Where the interpreter gets instruction bytes that are not simply those in memory: the door to the fetch model.</summary>
internal interface ICodeSource
{
    /// <summary>True when some CPU may still see an older version of the 64-byte line of <paramref name="address"/>.</summary>
    bool IsDirty(GuestAddress address);

    /// <summary>True when fetching from clean lines leaves nothing behind, so that it can be left to memory.</summary>
    bool FetchesCleanPlainly => false;

    /// <summary>True when whoever fetches these bytes is given what memory holds, nothing is asked of chance for it, and it leaves nothing behind.</summary>
    bool HasOneVersion(GuestAddress address, int length) => false;

    /// <summary>True when this CPU, whatever it fetches, is given what memory holds, nothing is asked of chance for it, and it leaves nothing behind.</summary>
    bool IsUpToDate(CpuId cpu) => false;

    /// <summary>
    /// Starts one instruction fetch of a CPU. The bytes are then asked one by one, in order, and a version is chosen for a
    /// chunk only when the first byte of it is asked, once; so what is asked of chance does not depend on what is cached.
    /// </summary>
    /// <param name="cpu">The CPU.</param>
    /// <param name="address">The instruction's first byte.</param>
    /// <param name="retiredInRun">How many instructions the CPU has retired since it was given to the interpreter.</param>
    void BeginFetch(CpuId cpu, GuestAddress address, long retiredInRun);

    /// <summary>The byte at <paramref name="index"/> of the fetch begun last, or -1 where the page cannot be executed.</summary>
    int FetchByte(int index);

    /// <summary>The fetch begun last has got a whole instruction, which is about to execute.</summary>
    /// <param name="instruction">Its bytes.</param>
    /// <param name="isBranch">True when straight code ends with it.</param>
    /// <param name="isObserved">True when somebody wants to know how the bytes stand to those in memory; else it is said only where the model needs it itself.</param>
    FetchCoherence EndFetch(ReadOnlySpan<byte> instruction, bool isBranch, bool isObserved);

    /// <summary>The vector of the exception that a torn instruction raises instead of executing; mostly null.</summary>
    int? FaultOf(FetchCoherence coherence);

    /// <summary>A guest's own store is about to change bytes of an executable page: records the version, then writes.</summary>
    /// <param name="cpu">The CPU.</param>
    /// <param name="address">Where.</param>
    /// <param name="bytes">What.</param>
    /// <param name="retiredInRun">How many instructions the CPU has retired since it was given to the interpreter, the one that stores included.</param>
    void StoreByGuest(CpuId cpu, GuestAddress address, ReadOnlySpan<byte> bytes, long retiredInRun);
}
