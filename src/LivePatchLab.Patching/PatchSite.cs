using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>One instruction to be replaced by another of the same length.</summary>
public sealed class PatchSite
{
    /// <param name="address">The first byte of the instruction.</param>
    /// <param name="oldCode">The bytes that must be there.</param>
    /// <param name="newCode">The bytes that shall be there; null where the site is in its final state already.</param>
    public PatchSite(GuestAddress address, byte[] oldCode, byte[]? newCode)
    {
        if (newCode is not null && newCode.Length != oldCode.Length)
            throw new ArgumentException($"the site at {address} has {oldCode.Length} bytes, and {newCode.Length} shall replace them: the lengths must be equal", nameof(newCode));
        Address = address;
        OldCode = oldCode;
        NewCode = newCode;
    }

    public GuestAddress Address { get; }

    /// <summary>The bytes that must be there. Sites may share them: nobody writes to them.</summary>
    public byte[] OldCode { get; }

    /// <summary>The bytes that shall be there, or null; shared like <see cref="OldCode"/>.</summary>
    public byte[]? NewCode { get; }

    public int Length => OldCode.Length;

    /// <summary>
    /// The instruction whose effect a CPU gets that traps at the site; null for the new code itself. The kernel gives another where the new code is
    /// not one that can be emulated, as where a static call comes to return 0: xor %eax,%eax is written, and the call emulated.
    /// </summary>
    public byte[]? Emulate { get; init; }

    /// <summary>What a protocol puts here for a time instead of INT3: HLT, or a jump to itself. Empty for most.</summary>
    public ReadOnlyMemory<byte> Guard { get; set; }

    /// <summary>Set by the client's finish callback: the client knows the site in its new state.</summary>
    public bool IsFinished { get; set; }

    public override string ToString() => $"{Address}: {Convert.ToHexStringLower(OldCode)} -> {(NewCode is null ? "as it is" : Convert.ToHexStringLower(NewCode))}";
}
