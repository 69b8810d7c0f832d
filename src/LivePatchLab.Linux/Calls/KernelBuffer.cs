using System.Runtime.InteropServices;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>Bytes of a machine's memory that a called function may read and write; as an argument it is its address.</summary>
public sealed class KernelBuffer
{
    private readonly GuestMemory _memory;

    internal KernelBuffer(GuestMemory memory, GuestAddress address, int length)
    {
        _memory = memory;
        Address = address;
        Length = length;
    }

    public GuestAddress Address { get; }

    /// <summary>Bytes.</summary>
    public int Length { get; }

    public static GuestAddress operator +(KernelBuffer buffer, long offset) => buffer.Address + offset;

    /// <summary>A copy of all its bytes.</summary>
    public byte[] ToArray() => _memory.Read(Address, Length);

    /// <summary>A copy of its bytes as numbers or structures; a rest that is no whole one is left out.</summary>
    public T[] ToArray<T>()
        where T : unmanaged
        => MemoryMarshal.Cast<byte, T>(ToArray()).ToArray();

    /// <summary>Copies its first bytes out.</summary>
    /// <exception cref="ArgumentException">It is shorter than the destination.</exception>
    public void CopyTo(Span<byte> destination)
    {
        RequireRoom(0, destination.Length);
        _memory.TryRead(Address, destination);
    }

    /// <summary>Copies bytes in, from <paramref name="offset"/> on.</summary>
    /// <exception cref="ArgumentException">They do not fit.</exception>
    public void Write(ReadOnlySpan<byte> bytes, int offset = 0)
    {
        RequireRoom(offset, bytes.Length);
        _memory.Load(Address + offset, bytes);
    }

    public override string ToString() => $"{Length} bytes at {Address}";

    private void RequireRoom(int offset, int length)
    {
        if (offset < 0 || length > Length - offset) throw new ArgumentException($"[{offset}, +{length}) is not inside the buffer of {this}", nameof(length));
    }
}
