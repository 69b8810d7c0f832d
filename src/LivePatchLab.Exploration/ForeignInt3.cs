using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>An INT3 that somebody else than the patcher has put somewhere: a kprobe's.</summary>
/// <param name="address">Where it stands.</param>
/// <param name="owner">Whose it is, in words.</param>
/// <param name="hits">How many of its traps have come to its owner so far.</param>
public sealed class ForeignInt3(GuestAddress address, string owner, Func<int> hits)
{
    public GuestAddress Address { get; } = address;

    public string Owner { get; } = owner;

    public Func<int> Hits { get; } = hits;

    /// <summary>Set by the scenario when the owner has taken it away itself.</summary>
    public bool IsRemoved { get; set; }
}
