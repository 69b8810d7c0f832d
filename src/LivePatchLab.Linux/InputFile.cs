using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace LivePatchLab.Linux;

/// <summary>Reads files that users name. What has no end or is no file is told so in one line, instead of filling the memory or waiting for ever.</summary>
public static partial class InputFile
{
    /// <summary>No kernel is near this, with all that a debugger needs of it.</summary>
    public const int ImageBytesMax = 1 << 30;

    /// <summary>A table, a notebook, a specification.</summary>
    public const int TextBytesMax = 1 << 28;

    private const int FirstBufferBytes = 1 << 16;

    /// <summary>All bytes of a file.</summary>
    /// <param name="path">The file, or what a shell has put in its place: /dev/stdin, or the /dev/fd/63 of a process substitution.</param>
    /// <param name="bytesMax">The most that are read.</param>
    /// <exception cref="BadInputException">There is no such file, it cannot be read, it is larger, or it is a folder, a device, a socket or a named pipe.</exception>
    public static byte[] ReadBytes(string path, int bytesMax)
    {
        if (WhatElse(path) is { } kind) throw new BadInputException($"{path}: {kind}; give a file");
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0, FileOptions.SequentialScan);
            // Pipes, and the files of /proc, do not tell a length.
            return stream.CanSeek && stream.Length > 0 ? ReadKnown(stream, path, bytesMax) : ReadToEnd(stream, path, bytesMax);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BadInputException($"{path}: no such file; check the path");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new BadInputException($"{path}: cannot be read ({e.Message}); check that it is a file and its permissions");
        }
    }

    /// <summary>All of a text: UTF-8, or what its byte order mark says.</summary>
    /// <inheritdoc cref="ReadBytes"/>
    public static string ReadText(string path)
    {
        using var reader = new StreamReader(new MemoryStream(ReadBytes(path, TextBytesMax)));
        return reader.ReadToEnd();
    }

    private static byte[] ReadKnown(FileStream stream, string path, int bytesMax)
    {
        if (stream.Length > bytesMax) throw TooLarge(path, bytesMax);
        var bytes = new byte[stream.Length];
        var length = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return length == bytes.Length ? bytes : bytes[..length];
    }

    private static byte[] ReadToEnd(FileStream stream, string path, int bytesMax)
    {
        var bytes = new byte[Math.Min(FirstBufferBytes, bytesMax)];
        for (var length = 0; ;)
        {
            var read = stream.Read(bytes, length, bytes.Length - length);
            length += read;
            if (read == 0) return bytes[..length];
            if (length < bytes.Length) continue;
            if (length == bytesMax) return stream.ReadByte() < 0 ? bytes : throw TooLarge(path, bytesMax);
            Array.Resize(ref bytes, (int)Math.Min(2L * length, bytesMax));
        }
    }

    private static BadInputException TooLarge(string path, int bytesMax)
        => new($"{path}: has more than {bytesMax >> 20} MiB, the most that is read of such a file; give another");

    /// <summary>What is there and is no file to be read to its end; null for a file, and where that cannot be told.</summary>
    private static string? WhatElse(string path)
    {
        if (Directory.Exists(path)) return "a folder";
        if (!OperatingSystem.IsLinux() || TypeOf(path) is not { } type) return null;

        // Opening a pipe that nobody writes to would wait for ever. Those below /dev and /proc are open already, at their other end too.
        var isOpen = path.StartsWith("/dev/", StringComparison.Ordinal) || path.StartsWith("/proc/", StringComparison.Ordinal);
        return type switch
        {
            0x1000 when !isOpen => "a named pipe",
            0x2000 => "a character device",
            0x6000 => "a block device",
            0xc000 => "a socket",
            _ => null,
        };
    }

    /// <summary>S_IFMT of the mode (inode(7)); null where the kernel does not tell. .NET has no call for it, and of the system's, only statx has one layout on all processors (statx(2)).</summary>
    private static unsafe int? TypeOf(string path)
    {
        const int CurrentFolder = -100, TypeWanted = 1, StructureBytes = 256, ModeAt = 28, TypeMask = 0xf000;
        var status = stackalloc byte[StructureBytes];
        return Statx(CurrentFolder, path, 0, TypeWanted, status) == 0 ? BinaryPrimitives.ReadUInt16LittleEndian(new ReadOnlySpan<byte>(status + ModeAt, sizeof(ushort))) & TypeMask : null;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Statx(int folder, string path, int flags, uint wanted, byte* status);
}
