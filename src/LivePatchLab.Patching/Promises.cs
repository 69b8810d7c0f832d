using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>What the parts that protocols are made of give, under a fetch model; each protocol puts its promises together from these.</summary>
public static class Promises
{
    /// <summary>INT3, tail, first byte, with a sync after each: as good as sync_core() is at making a CPU forget what it has fetched.</summary>
    public static Invariants OfThreeSyncs(FetchModel model)
        => SyncReaches(model) ? Invariants.NothingTorn | Invariants.TailBehindInt3 | Invariants.FirstByteLast | Invariants.NewAfterReturn : Invariants.None;

    /// <summary>
    /// The last sync waits for every handler that is under way, because a CPU answers the IPI only with interrupts on. That is so where #BP has an
    /// interrupt gate. Through a trap gate a CPU may answer between its trap and the handler's first read; no refcount covers that stretch.
    /// </summary>
    public static Invariants OfDrainedHandlers(FetchModel model, Invariants what)
        => SyncReaches(model) && model.BreakpointGate == GateType.Interrupt ? what : Invariants.None;

    /// <summary>
    /// True where the function that an IPI has every CPU call makes it forget older code. An instruction cache that is not coherent goes on giving older
    /// code to those who have forgotten it, and no protocol of x86 maintains one.
    /// </summary>
    public static bool SyncReaches(FetchModel model) => model.Serialises(SerialisingEvents.Instruction) && model.IcacheCoherent;
}
