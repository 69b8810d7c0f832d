using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>How a patching operation failed, as its protocol reports it.</summary>
/// <param name="Errno">The negative error number.</param>
/// <param name="Step">The protocol's own words for what it was doing.</param>
/// <param name="FailCount">How many entries that step had done before.</param>
/// <param name="FailAddress">The address of the entry that failed.</param>
/// <param name="Recovered">True when the protocol says that it has put back what it had not finished; false when it gave up, or has no recovery.</param>
public sealed record PatchFailure(int Errno, string Step, int FailCount, GuestAddress FailAddress, bool Recovered)
{
    public override string ToString()
        => $"{Linux.Errno.NameOf(Errno)} while {Step}, after {FailCount} entries, at {FailAddress}{(Recovered ? "; recovered" : "; not recovered")}";
}
