using System.Buffers.Binary;

namespace LivePatchLab.Linux;

/// <summary>The bytes of an image file: every read is checked, so that whatever a file says, the answer is a value or one clear line.</summary>
internal readonly struct ImageBytes(ReadOnlyMemory<byte> bytes, string source)
{
    public ReadOnlyMemory<byte> Memory { get; } = bytes;

    public string Source { get; } = source;

    public int Length => Memory.Length;

    public byte Byte(ulong offset, string what) => Span(offset, 1, what)[0];

    public ushort UInt16(ulong offset, string what) => BinaryPrimitives.ReadUInt16LittleEndian(Span(offset, 2, what));

    public uint UInt32(ulong offset, string what) => BinaryPrimitives.ReadUInt32LittleEndian(Span(offset, 4, what));

    public ulong UInt64(ulong offset, string what) => BinaryPrimitives.ReadUInt64LittleEndian(Span(offset, 8, what));

    public ReadOnlySpan<byte> Span(ulong offset, ulong length, string what) => Slice(offset, length, what).Span;

    public ReadOnlyMemory<byte> Slice(ulong offset, ulong length, string what)
        => offset <= (ulong)Length && length <= (ulong)Length - offset
            ? Memory.Slice((int)offset, (int)length)
            : throw Bad($"truncated: {what} should be at 0x{offset:x}, +0x{length:x}, but the file ends at 0x{Length:x}; fetch or build it again");

    public BadInputException Bad(string what) => new($"{Source}: {what}");

    /// <summary>The bytes of a file.</summary>
    /// <exception cref="BadInputException">There is no such file, or it cannot be read.</exception>
    public static ImageBytes Of(string path) => new(InputFile.ReadBytes(path, InputFile.ImageBytesMax), path);
}
