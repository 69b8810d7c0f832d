namespace LivePatchLab.Machine;

/// <summary>An operand width. Values travel as <c>ulong</c>; only the low bits of a result count, reads are zero-extended.</summary>
internal unsafe interface IWidth
{
    static abstract int Bits { get; }

    static abstract int Bytes { get; }

    /// <summary>0 … 3: what the lazy flags add to their kind.</summary>
    static abstract int Log2Bytes { get; }

    static abstract ulong Read(byte* place);

    static abstract void Write(byte* place, ulong value);

    /// <summary>As <see cref="Write"/>, but a 32-bit result clears the upper half of its register (SDM vol. 1, 3.4.1.1).</summary>
    static abstract void WriteRegister(byte* place, ulong value);

    static abstract ulong ZeroExtend(ulong value);

    static abstract long SignExtend(ulong value);
}

internal readonly unsafe struct Bits8 : IWidth
{
    public static int Bits => 8;

    public static int Bytes => 1;

    public static int Log2Bytes => 0;

    public static ulong Read(byte* place) => *place;

    public static void Write(byte* place, ulong value) => *place = (byte)value;

    public static void WriteRegister(byte* place, ulong value) => *place = (byte)value;

    public static ulong ZeroExtend(ulong value) => (byte)value;

    public static long SignExtend(ulong value) => (sbyte)value;
}

internal readonly unsafe struct Bits16 : IWidth
{
    public static int Bits => 16;

    public static int Bytes => 2;

    public static int Log2Bytes => 1;

    public static ulong Read(byte* place) => *(ushort*)place;

    public static void Write(byte* place, ulong value) => *(ushort*)place = (ushort)value;

    public static void WriteRegister(byte* place, ulong value) => *(ushort*)place = (ushort)value;

    public static ulong ZeroExtend(ulong value) => (ushort)value;

    public static long SignExtend(ulong value) => (short)value;
}

internal readonly unsafe struct Bits32 : IWidth
{
    public static int Bits => 32;

    public static int Bytes => 4;

    public static int Log2Bytes => 2;

    public static ulong Read(byte* place) => *(uint*)place;

    public static void Write(byte* place, ulong value) => *(uint*)place = (uint)value;

    public static void WriteRegister(byte* place, ulong value) => *(ulong*)place = (uint)value;

    public static ulong ZeroExtend(ulong value) => (uint)value;

    public static long SignExtend(ulong value) => (int)value;
}

internal readonly unsafe struct Bits64 : IWidth
{
    public static int Bits => 64;

    public static int Bytes => 8;

    public static int Log2Bytes => 3;

    public static ulong Read(byte* place) => *(ulong*)place;

    public static void Write(byte* place, ulong value) => *(ulong*)place = value;

    public static void WriteRegister(byte* place, ulong value) => *(ulong*)place = value;

    public static ulong ZeroExtend(ulong value) => value;

    public static long SignExtend(ulong value) => (long)value;
}
