using System.ComponentModel;
using System.Diagnostics;

namespace LivePatchLab.Linux;

/// <summary>A codec that .NET does not have: the computer's own program for it, fed through its standard input.</summary>
internal sealed record ExternalCodec(string Program, string[] Arguments, string Package)
{
    // The kernel's xz payload is followed by padding and a size that are no stream: --single-stream passes over them.
    public static readonly ExternalCodec Xz = new("xz", ["-dc", "--single-stream"], "xz-utils");
    public static readonly ExternalCodec Zstd = new("zstd", ["-dcq"], "zstd");
    public static readonly ExternalCodec Bzip2 = new("bzip2", ["-dc"], "bzip2");
    public static readonly ExternalCodec Lzma = new("xz", ["-dc", "--format=lzma"], "xz-utils");
    public static readonly ExternalCodec Lzo = new("lzop", ["-dc"], "lzop");

    /// <exception cref="UnsupportedInputException">The program is not on this computer.</exception>
    /// <exception cref="BadInputException">It does not unpack to exactly <paramref name="length"/> bytes.</exception>
    public byte[] Unpack(ImageBytes packed, int length)
    {
        using var process = Start(packed.Source);
        var feeding = Task.Run(() => Feed(process, packed.Memory));
        var complaints = process.StandardError.ReadToEndAsync();
        var output = new byte[length];
        var got = process.StandardOutput.BaseStream.ReadAtLeast(output, length, throwOnEndOfStream: false);
        var hasMore = got == length && process.StandardOutput.BaseStream.ReadByte() >= 0;
        if (hasMore) process.Kill();
        process.WaitForExit();
        feeding.Wait();
        if (got == length && !hasMore) return output;
        var complaint = complaints.Result.Split('\n')[0].Trim();
        var why = complaint.Length > 0 ? $" ({complaint})" : "";
        throw packed.Bad($"{Program} unpacks the kernel to {(hasMore ? "more than" : "only")} {got} of {length} bytes{why}; fetch the image again");
    }

    private Process Start(string source)
    {
        var start = new ProcessStartInfo(Program, Arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            throw new UnsupportedInputException($"{source}: packed with {Program}, which this computer does not have; install the package {Package}, or give the vmlinux");
        }
    }

    private static void Feed(Process process, ReadOnlyMemory<byte> packed)
    {
        try
        {
            using var input = process.StandardInput.BaseStream;
            input.Write(packed.Span);
        }
        catch (IOException)
        {
            // A program that has what it wants closes its input before the end; what it wrote is judged by its length.
        }
    }
}
