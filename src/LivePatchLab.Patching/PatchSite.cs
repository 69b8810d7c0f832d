using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// Code to be replaced by other code of the same length: mostly one instruction by another. Where it is several, as in XRay's sleds or the first instructions
/// of a function that is detoured, a CPU may stand between two of them when the code is replaced.
/// </summary>
public sealed class PatchSite
{
    private InstructionBoundaries? _oldInstructions, _newInstructions;

    /// <param name="address">The first byte of the code.</param>
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

    /// <summary>Where the instructions of the old code begin.</summary>
    public InstructionBoundaries OldInstructions => _oldInstructions ??= InstructionBoundaries.Of(OldCode);

    /// <summary>Where the instructions of the new code begin; those of the old code where the site is in its final state already.</summary>
    public InstructionBoundaries NewInstructions => _newInstructions ??= NewCode is null ? OldInstructions : InstructionBoundaries.Of(NewCode);

    /// <summary>True when a CPU can be between two instructions of the site, of the old code or of the new.</summary>
    public bool HasSeveralInstructions => OldInstructions.Count > 1 || NewInstructions.Count > 1;

    /// <summary>
    /// The instruction whose effect a CPU gets that traps at the site; null for the new code itself. The kernel gives another where the new code is
    /// not one that can be emulated, as where a static call comes to return 0: xor %eax,%eax is written, and the call emulated.
    /// </summary>
    public byte[]? Emulate { get; init; }

    /// <summary>What a protocol puts here for a time instead of INT3: HLT, or a jump to itself. Empty for most.</summary>
    public ReadOnlyMemory<byte> Guard { get; set; }

    /// <summary>Set by the client's finish callback: the client knows the site in its new state.</summary>
    public bool IsFinished { get; set; }

    /// <summary>True when the old code has just this instruction at that byte.</summary>
    public bool IsOld(int offset, ReadOnlySpan<byte> instruction) => IsAt(OldCode, OldInstructions, offset, instruction);

    /// <summary>True when the new code has just this instruction at that byte; never where there is no new code.</summary>
    public bool IsNew(int offset, ReadOnlySpan<byte> instruction) => NewCode is { } code && IsAt(code, NewInstructions, offset, instruction);

    /// <summary>What an instruction is to the site that a CPU was given at one of its bytes.</summary>
    /// <param name="offset">The byte at which the CPU executes, 0 for the first.</param>
    /// <param name="instruction">The bytes that it was given for it.</param>
    public SiteFetch Judge(int offset, ReadOnlySpan<byte> instruction)
    {
        // Most sites are one instruction, and need no decoding.
        if (offset == 0)
        {
            if (NewCode is { } code && instruction.SequenceEqual(code)) return SiteFetch.New;
            if (instruction[0] == BreakpointState.Int3) return NewCode is { } meant && meant[0] == BreakpointState.Int3 ? SiteFetch.New : SiteFetch.Int3;
            if (!Guard.IsEmpty && instruction.SequenceEqual(Guard.Span)) return SiteFetch.Guard;
            if (instruction.SequenceEqual(OldCode)) return SiteFetch.Old;
        }

        if (IsNew(offset, instruction)) return SiteFetch.New;
        if (IsOld(offset, instruction)) return SiteFetch.Old;
        return offset > 0 && instruction[0] == BreakpointState.Int3 && IsInt3Meant(offset) ? SiteFetch.Int3 : SiteFetch.Torn;
    }

    public override string ToString() => $"{Address}: {Convert.ToHexStringLower(OldCode)} -> {(NewCode is null ? "as it is" : Convert.ToHexStringLower(NewCode))}";

    /// <summary>
    /// Where an instruction begins, INT3 may stand for it; not where the other code has that byte inside an instruction: then it is a part of that one
    /// that is executed.
    /// </summary>
    private bool IsInt3Meant(int offset)
    {
        var (isOld, isNew) = (OldInstructions.LengthAt(offset) > 0, NewInstructions.LengthAt(offset) > 0);
        if (!isOld && OldCode[offset] == BreakpointState.Int3) return false;
        if (!isNew && NewCode is { } code && code[offset] == BreakpointState.Int3) return false;
        return isOld || isNew;
    }

    private static bool IsAt(byte[] code, InstructionBoundaries boundaries, int offset, ReadOnlySpan<byte> instruction)
        => boundaries.LengthAt(offset) is > 0 and var length && instruction.SequenceEqual(code.AsSpan(offset, length));
}
