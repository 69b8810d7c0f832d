using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>A traced function of a real kernel that computes in registers alone and returns.</summary>
/// <remarks>The length goes from its address up to the end of its last instruction; its ftrace site is in between.</remarks>
public sealed record LeafFunction(GuestAddress Address, GuestAddress Site, string Name, int Length);
