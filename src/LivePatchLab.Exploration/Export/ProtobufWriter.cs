using System.Text;

namespace LivePatchLab.Exploration;

/// <summary>
/// Writes messages in the wire format of Protocol Buffers (protobuf.dev, "Encoding"): a field is a tag, its number times eight plus the wire type, and then its value.
/// Only the two wire types that a trace needs: 0, a number in groups of seven bits, the lowest first; 2, bytes after their length.
/// </summary>
internal sealed class ProtobufWriter
{
    private readonly List<byte> _bytes = [];

    public byte[] ToArray() => [.. _bytes];

    public ProtobufWriter Number(int field, ulong value)
    {
        Varint((ulong)field << 3);
        Varint(value);
        return this;
    }

    public ProtobufWriter Text(int field, string value) => Bytes(field, Encoding.UTF8.GetBytes(value));

    public ProtobufWriter Message(int field, ProtobufWriter message) => Bytes(field, message.ToArray());

    private ProtobufWriter Bytes(int field, ReadOnlySpan<byte> value)
    {
        Varint(((ulong)field << 3) | 2);
        Varint((ulong)value.Length);
        _bytes.AddRange(value);
        return this;
    }

    private void Varint(ulong value)
    {
        for (; value >= 0x80; value >>= 7) _bytes.Add((byte)(value | 0x80));
        _bytes.Add((byte)value);
    }
}
