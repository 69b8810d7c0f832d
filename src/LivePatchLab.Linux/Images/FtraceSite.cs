using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The five bytes at the entry of a traced function.</summary>
/// <param name="Address">The first of them.</param>
/// <param name="IsEnabled">
/// False for what a weak function left behind when a strong one took its name: such a site is in no symbol's first bytes, and
/// ftrace leaves it alone (ftrace.c, test_for_valid_rec; FTRACE_MCOUNT_MAX_OFFSET).
/// </param>
public readonly record struct FtraceSite(GuestAddress Address, bool IsEnabled = true)
{
    /// <summary>MCOUNT_INSN_SIZE of arch/x86/include/asm/ftrace.h.</summary>
    public const int Length = 5;

    public override string ToString() => IsEnabled ? $"{Address}" : $"{Address} (weak leftover)";
}
