using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>A line of /proc/kallsyms or of nm: where, nm's letter for what it is, and the name.</summary>
public readonly record struct KernelSymbol(GuestAddress Address, char Type, string Name);
