using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>What begins inside a row of a dump.</summary>
/// <param name="Offset">Which byte of the row, from 0.</param>
/// <param name="Length">How many bytes it has, of those in the dump.</param>
/// <param name="Text">"increment", "site 3", "int3".</param>
public sealed record MemoryMark(int Offset, int Length, string Text);

/// <summary>Up to 16 bytes of memory, from a multiple of 16 on.</summary>
/// <param name="Address">Of the first byte.</param>
/// <param name="Bytes">Null where nothing is mapped, or where the dump has not begun yet.</param>
/// <param name="Marks">Symbols, patch sites and INT3 in executable pages, in the order of their offsets.</param>
public sealed record MemoryRow(GuestAddress Address, IReadOnlyList<byte?> Bytes, IReadOnlyList<MemoryMark> Marks);

/// <summary>A range of memory as it was when it was asked for.</summary>
/// <param name="Address">The first byte asked for.</param>
/// <param name="Length">How many bytes.</param>
/// <param name="Rows">All of them, in aligned rows of 16.</param>
public sealed record MemoryDump(GuestAddress Address, int Length, IReadOnlyList<MemoryRow> Rows)
{
    public const int RowBytes = 16;

    public override string ToString() => $"{Length} bytes at {Address}";

    internal static MemoryDump Of(SmpMachine machine, GuestAddress address, int length)
    {
        var end = address + length;
        var rows = new List<MemoryRow>();
        for (var at = address.AlignDown(RowBytes); end - at > 0; at += RowBytes)
        {
            var bytes = new byte?[RowBytes];
            var marks = new List<MemoryMark>();
            for (var i = 0; i < RowBytes; i++)
            {
                var place = at + i;
                if (place - address < 0 || end - place <= 0 || !machine.Memory.IsMapped(place, 1)) continue;
                bytes[i] = machine.Memory.Read(place, 1)[0];
                if (machine.CodeMap?.LabelAt(place) is { } label) marks.Add(new(i, 1, label));
                if (machine.CodeMap?.SiteAt(place) is { } site) marks.Add(new(i, (int)Math.Min(5, end - place), $"site {site}"));
                if (bytes[i] == Patching.BreakpointState.Int3 && (machine.Memory.PermissionsAt(place) & PagePermissions.Execute) != 0) marks.Add(new(i, 1, "int3"));
            }

            rows.Add(new(at, bytes, marks));
        }

        return new(address, length, rows);
    }
}
