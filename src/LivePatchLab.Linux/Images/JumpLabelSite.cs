using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>An entry of __jump_table (struct jump_entry, include/linux/jump_label.h).</summary>
/// <param name="Address">The instruction that is a NOP or a JMP.</param>
/// <param name="Length">2 or 5 bytes, as the image has it.</param>
/// <param name="IsJump">What the image has there.</param>
/// <param name="Target">Where it jumps when it is a JMP.</param>
/// <param name="Key">The static key that decides.</param>
/// <param name="IsBranch">Bit 0 of the key word: the JMP is there when the key is off (jump_entry_is_branch).</param>
public readonly record struct JumpLabelSite(GuestAddress Address, int Length, bool IsJump, GuestAddress Target, GuestAddress Key, bool IsBranch);
