using System.Globalization;

namespace LivePatchLab.Machine;

/// <summary>A virtual address of the emulated machine, as the guest's registers hold it.</summary>
/// <param name="Value">The 64-bit value; the machine has memory only where it is a sign-extended 32-bit number.</param>
public readonly record struct GuestAddress(ulong Value) : IComparable<GuestAddress>
{
    public static GuestAddress operator +(GuestAddress address, long offset) => new(unchecked(address.Value + (ulong)offset));

    public static GuestAddress operator -(GuestAddress address, long offset) => new(unchecked(address.Value - (ulong)offset));

    public static long operator -(GuestAddress left, GuestAddress right) => unchecked((long)(left.Value - right.Value));

    public static bool operator <(GuestAddress left, GuestAddress right) => left.Value < right.Value;

    public static bool operator >(GuestAddress left, GuestAddress right) => left.Value > right.Value;

    public static bool operator <=(GuestAddress left, GuestAddress right) => left.Value <= right.Value;

    public static bool operator >=(GuestAddress left, GuestAddress right) => left.Value >= right.Value;

    /// <summary>True when the machine's window of signed 32-bit reach has this address.</summary>
    public bool IsInWindow => unchecked((ulong)(long)(int)Value) == Value;

    /// <summary>The address rounded down to a multiple of <paramref name="alignment"/>, a power of two.</summary>
    public GuestAddress AlignDown(int alignment) => new(Value & ~(ulong)(alignment - 1));

    /// <summary>True when the bytes [this, this+length) lie in more than one aligned block of <paramref name="blockBytes"/>.</summary>
    public bool Straddles(int length, int blockBytes) => (Value & (ulong)(blockBytes - 1)) + (ulong)length > (ulong)blockBytes;

    public int CompareTo(GuestAddress other) => Value.CompareTo(other.Value);

    /// <summary>Lower-case hexadecimal without prefix, as the kernel's own tools print addresses.</summary>
    public override string ToString() => Value.ToString("x", CultureInfo.InvariantCulture);

    /// <summary>Reads an address as <see cref="ToString"/> writes it, with or without a leading 0x.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out GuestAddress address)
    {
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)) text = text[2..];
        var good = ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value);
        address = new(value);
        return good;
    }
}
