using System.Buffers.Binary;

namespace LivePatchLab.Cli.Tests;

/// <summary>A static ELF file made of a few instructions: one segment, without sections.</summary>
internal static class TinyProgram
{
    private const int HeaderBytes = 64, SegmentHeaderBytes = 56;
    private const ulong Base = 0x400000;

    /// <summary>With code that may be read and executed.</summary>
    public static byte[] Of(params ReadOnlySpan<byte> code) => Of(code, isWritable: false);

    public static byte[] Of(ReadOnlySpan<byte> code, bool isWritable)
    {
        const int start = HeaderBytes + SegmentHeaderBytes;
        var file = new byte[start + code.Length];
        ReadOnlySpan<byte> identity = [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        identity.CopyTo(file);
        Put16(0x10, 2); // ET_EXEC
        Put16(0x12, 62); // EM_X86_64
        Put32(0x14, 1);
        Put64(0x18, Base + start);
        Put64(0x20, HeaderBytes);
        Put16(0x34, HeaderBytes);
        Put16(0x36, SegmentHeaderBytes);
        Put16(0x38, 1);
        Put32(HeaderBytes, 1); // PT_LOAD
        Put32(HeaderBytes + 4, isWritable ? 7U : 5U); // PF_R | PF_X, PF_W
        Put64(HeaderBytes + 16, Base);
        Put64(HeaderBytes + 24, Base);
        Put64(HeaderBytes + 32, (ulong)file.Length);
        Put64(HeaderBytes + 40, (ulong)file.Length);
        Put64(HeaderBytes + 48, 0x1000);
        code.CopyTo(file.AsSpan(start));
        return file;

        void Put16(int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at), value);
        void Put32(int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), value);
        void Put64(int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(at), value);
    }
}
