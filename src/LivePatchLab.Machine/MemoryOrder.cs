namespace LivePatchLab.Machine;

/// <summary>In which order a CPU's stores to kernel variables reach the others.</summary>
public enum MemoryOrder
{
    /// <summary>At once and in program order.</summary>
    SequentiallyConsistent,

    /// <summary>Through a store buffer, first in, first out: x86-TSO (Sewell and others, CACM 53(7), 2010).</summary>
    TotalStoreOrder,

    /// <summary>Stores to different variables may overtake each other, as a compiler or a weaker processor lets them.</summary>
    PartialStoreOrder,
}
