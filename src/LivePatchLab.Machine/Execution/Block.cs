using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// A decoded stretch of straight code. It is live while memory holds its bytes and none of them is in a dirty line; when it is
/// not, nothing leads to it, but it is kept: code that is toggled comes back to what it was.
/// </summary>
internal sealed unsafe class Block(ulong rip, byte[] bytes, Op* first, bool isCutShort)
{
    public ulong Rip => rip;

    public byte[] Bytes => bytes;

    public Op* First => first;

    /// <summary>True when it ends where it does only because the next instruction was dirty at the time.</summary>
    public bool IsCutShort => isCutShort;

    /// <summary>Stubs of the edges that have been linked to this block.</summary>
    public List<nint> Incoming { get; } = [];

    public BlockHeader* Header => BlockHeader.OfFirst(first);

    public bool IsLive
    {
        get => Header->IsLive != 0;
        set => Header->IsLive = value ? 1 : 0;
    }
}

/// <summary>What can be known of a block from a pointer into its operations. It stands in the slot before the first one.</summary>
[StructLayout(LayoutKind.Sequential, Size = 32)]
internal unsafe struct BlockHeader
{
    /// <summary>The same code with a <see cref="BudgetStep"/> before each instruction, or null when no CPU ever had to stop inside.</summary>
    public Op* Precise;

    public int Id;
    public int IsLive;

    public static BlockHeader* OfFirst(Op* first) => (BlockHeader*)first - 1;
}

/// <summary>An instruction decoded to be run alone: for dirty lines, and for accesses that are not plain.</summary>
internal sealed unsafe class SingleOp(byte[] bytes, Op* op, GuestTouches touches)
{
    public byte[] Bytes => bytes;

    public GuestTouches Touches => touches;

    public Op* Op => op;
}

/// <summary>Everything decoded so far that begins at one address.</summary>
internal sealed class DecodedAddress
{
    public Block? Live { get; set; }

    public List<Block> Blocks { get; } = [];

    public List<SingleOp> Singles { get; } = [];
}
