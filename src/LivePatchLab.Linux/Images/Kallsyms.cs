using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// Finds the kernel's own symbol table (scripts/kallsyms.c, kernel/kallsyms.c) in .rodata without any symbol, by what the tables
/// say of each other, for the three orders that they have had.
/// </summary>
/// <remarks>
/// <code>
/// to 6.3     offsets, relative_base, num_syms, names, markers, (seqs_of_names,) token_table, token_index
/// from 6.4   num_syms, names, markers, token_table, token_index, offsets, relative_base, seqs_of_names
/// from 7.0   num_syms, names, markers, token_table, token_index, offsets, seqs_of_names
/// </code>
/// Each table begins at a multiple of 8, from 7.0 on of 4. The anchor is the token table: the digits are always tokens of their own,
/// so "0\0" … "9\0" is in it; the token index, computed from it, must follow verbatim. num_syms is the number for which the names
/// behind it give exactly the markers (the offset of each 256th name) that follow them. As of 7.0 an offset counts from its own place.
/// Which layout it is shows in the addresses: they must ascend.
/// </remarks>
internal static class Kallsyms
{
    private const int Tokens = 256, NamesPerMarker = 256;

    /// <summary>Fewer names than this have too few markers to tell a table from chance.</summary>
    private const int NamesMin = 1024, NamesMax = 1 << 22;

    /// <summary>KSYM_NAME_LEN.</summary>
    private const int NameBytesMax = 512;

    /// <summary>Names of today's kernels take 10 to 15 bytes, each with its share of the markers and of seqs_of_names.</summary>
    private const int NameBytesMeanMax = 64, SlackBytes = 4096;

    /// <summary>The symbols in the table's order, which is that of their addresses; null where there is no such table.</summary>
    /// <param name="rodata">The section that the tables lie in, or more.</param>
    /// <param name="address">Where it is linked, a multiple of 8.</param>
    public static KernelSymbol[]? Find(ReadOnlySpan<byte> rodata, GuestAddress address)
    {
        if (!TryFindTokens(rodata, out var tokenTable, out var tokenIndex, out var tokens)) return null;
        var words = MemoryMarshal.Cast<byte, uint>(rodata);
        var markers = new int[(NamesMax / NamesPerMarker) + 1];
        for (var at = 0; at + 8 <= tokenTable; at += 4)
        {
            var count = words[at / 4];
            if (count is < NamesMin or > NamesMax) continue;
            // A name takes two bytes at least, its length and a token. That it takes 64 at most on average leaves few numbers to try.
            if (2 * (long)count > tokenTable - at || (NameBytesMeanMax * (long)count) + SlackBytes < tokenTable - at) continue;

            // No length is 0, so what follows the number says how it is padded.
            var alignment = words[(at / 4) + 1] == 0 ? 8 : 4;
            if (at % alignment != 0 || !MarkersFollow(rodata[..tokenTable], at + alignment, (int)count, markers)) continue;
            if (Read(rodata, address, at, alignment, (int)count, tokenIndex, tokens) is { } symbols) return symbols;
        }

        return null;
    }

    private static bool TryFindTokens(ReadOnlySpan<byte> rodata, out int table, out int index, out byte[][] tokens)
    {
        ReadOnlySpan<byte> digits = "0\01\02\03\04\05\06\07\08\09\0"u8;
        tokens = new byte[Tokens][];
        Span<byte> expected = stackalloc byte[2 * Tokens];
        for (var from = 0; ;)
        {
            var hit = rodata[from..].IndexOf(digits);
            table = index = 0;
            if (hit < 0) return false;
            hit += from;
            from = hit + 1;
            if (!TryWalkBack(rodata, hit, '0', out table) || !TryWalkTokens(rodata, table, tokens, expected, out var end)) continue;
            for (index = end; index < end + 8; index++)
            {
                if (index + expected.Length <= rodata.Length && rodata.Slice(index, expected.Length).SequenceEqual(expected)) return true;
            }
        }
    }

    /// <summary>From the start of token number <paramref name="number"/> back over as many strings to token 0.</summary>
    private static bool TryWalkBack(ReadOnlySpan<byte> rodata, int at, int number, out int start)
    {
        start = at;
        for (var i = 0; i < number; i++)
        {
            if (start < 1 || rodata[start - 1] != 0) return false;
            start = rodata[..(start - 1)].LastIndexOf((byte)0) + 1;
        }

        return true;
    }

    private static bool TryWalkTokens(ReadOnlySpan<byte> rodata, int table, byte[][] tokens, Span<byte> index, out int end)
    {
        end = table;
        for (var i = 0; i < Tokens; i++)
        {
            var length = rodata[end..].IndexOf((byte)0);
            if (length < 0 || end - table > ushort.MaxValue) return false;
            BinaryPrimitives.WriteUInt16LittleEndian(index[(2 * i)..], (ushort)(end - table));
            tokens[i] = rodata.Slice(end, length).ToArray();
            end += length + 1;
        }

        return true;
    }

    private static bool MarkersFollow(ReadOnlySpan<byte> rodata, int names, int count, int[] markers)
    {
        var at = names;
        for (var i = 0; i < count; i++)
        {
            if (i % NamesPerMarker == 0) markers[i / NamesPerMarker] = at - names;
            if (!TrySkipName(rodata, ref at, out _)) return false;
        }

        var expected = MemoryMarshal.AsBytes(markers.AsSpan(0, (count + NamesPerMarker - 1) / NamesPerMarker));
        return StartsWithAt(rodata, AlignUp(at, 4), expected) || StartsWithAt(rodata, AlignUp(at, 8), expected);
    }

    private static bool StartsWithAt(ReadOnlySpan<byte> rodata, int at, ReadOnlySpan<byte> expected)
        => at <= rodata.Length && rodata[at..].StartsWith(expected);

    /// <summary>The length is one byte, or two (7 bits each, low first) where its top bit is set, as of 6.1.</summary>
    private static bool TrySkipName(ReadOnlySpan<byte> rodata, ref int at, out int length)
    {
        length = 0;
        if (at >= rodata.Length) return false;
        length = rodata[at++];
        if ((length & 0x80) != 0)
        {
            if (at >= rodata.Length) return false;
            length = (length & 0x7f) | (rodata[at++] << 7);
        }

        at += length;
        return length is > 0 and <= NameBytesMax && at <= rodata.Length;
    }

    private static KernelSymbol[]? Read(ReadOnlySpan<byte> rodata, GuestAddress address, int numSyms, int alignment, int count, int tokenIndex, byte[][] tokens)
    {
        if (ReadAddresses(rodata, address, numSyms, alignment, count, tokenIndex) is not { } addresses) return null;
        var symbols = new KernelSymbol[count];
        Span<byte> name = stackalloc byte[2 * NameBytesMax];
        var at = numSyms + alignment;
        for (var i = 0; i < count; i++)
        {
            if (!TrySkipName(rodata, ref at, out var length)) return null;
            var size = 0;
            foreach (var token in rodata.Slice(at - length, length))
            {
                var text = tokens[token];
                if (text.Length > name.Length - size) return null;
                text.CopyTo(name[size..]);
                size += text.Length;
            }

            if (size < 2 || !char.IsAsciiLetter((char)name[0])) return null;
            symbols[i] = new(addresses[i], (char)name[0], Encoding.Latin1.GetString(name[1..size]));
        }

        return symbols;
    }

    private static GuestAddress[]? ReadAddresses(ReadOnlySpan<byte> rodata, GuestAddress address, int numSyms, int alignment, int count, int tokenIndex)
    {
        var length = 4 * count;
        var before = AlignDown(numSyms - 8 - length, 8);
        if (before >= 0 && FromBase(OffsetsAt(rodata, before, count), BinaryPrimitives.ReadUInt64LittleEndian(rodata[(numSyms - 8)..])) is { } addresses) return addresses;

        var behind = AlignUp(tokenIndex + (2 * Tokens), alignment);
        if (behind + length > rodata.Length) return null;
        var offsets = OffsetsAt(rodata, behind, count);
        var baseAt = AlignUp(behind + length, 8);
        var relativeBase = baseAt + 8 <= rodata.Length ? BinaryPrimitives.ReadUInt64LittleEndian(rodata[baseAt..]) : 0;
        return FromBase(offsets, relativeBase) ?? FromPlaces(offsets, address + behind);
    }

    private static ReadOnlySpan<int> OffsetsAt(ReadOnlySpan<byte> rodata, int at, int count) => MemoryMarshal.Cast<byte, int>(rodata.Slice(at, 4 * count));

    /// <summary>An address of the upper 2 GiB, where every x86-64 kernel is linked.</summary>
    private static bool IsKernelAddress(ulong value) => value >> 31 == 0x1_ffff_ffff;

    /// <summary>
    /// With KALLSYMS_ABSOLUTE_PERCPU an offset at or above zero is a per-CPU address as it is, and all others count down from the
    /// base; without it (per-CPU symbols are ordinary as of 6.15) every offset counts up. Null where that is no such base or they
    /// do not ascend: what stands where another layout has its base may be any pointer.
    /// </summary>
    private static GuestAddress[]? FromBase(ReadOnlySpan<int> offsets, ulong relativeBase)
    {
        if (!IsKernelAddress(relativeBase)) return null;
        var negative = 0;
        foreach (var offset in offsets) negative += offset < 0 ? 1 : 0;
        var isPerCpuAbsolute = negative > offsets.Length / 2;
        var addresses = new GuestAddress[offsets.Length];
        for (var i = 0; i < addresses.Length; i++)
        {
            var offset = offsets[i];
            addresses[i] = new(unchecked(isPerCpuAbsolute ? offset >= 0 ? (ulong)offset : relativeBase - 1 - (ulong)(long)offset : relativeBase + (uint)offset));
        }

        return Ascend(addresses) ? addresses : null;
    }

    /// <summary>Each offset counts from where it stands itself; null where that gives no ascending addresses of a kernel.</summary>
    private static GuestAddress[]? FromPlaces(ReadOnlySpan<int> offsets, GuestAddress table)
    {
        var addresses = new GuestAddress[offsets.Length];
        for (var i = 0; i < addresses.Length; i++) addresses[i] = table + (4L * i) + offsets[i];
        return IsKernelAddress(addresses[0].Value) && IsKernelAddress(addresses[^1].Value) && Ascend(addresses) ? addresses : null;
    }

    /// <summary>sort_symbols of scripts/kallsyms.c orders them by address, the absolute ones too.</summary>
    private static bool Ascend(GuestAddress[] addresses)
    {
        for (var i = 1; i < addresses.Length; i++)
        {
            if (addresses[i].Value < addresses[i - 1].Value) return false;
        }

        return true;
    }

    private static int AlignUp(int value, int alignment) => (value + alignment - 1) & -alignment;

    private static int AlignDown(int value, int alignment) => value & -alignment;
}
