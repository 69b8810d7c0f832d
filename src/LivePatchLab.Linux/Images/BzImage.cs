using System.Text;

namespace LivePatchLab.Linux;

/// <summary>The boot header of a bzImage (Documentation/arch/x86/boot.rst), and the packed vmlinux behind it.</summary>
internal static class BzImage
{
    private const uint HdrS = 0x53726448;

    /// <summary>payload_offset and payload_length came with protocol 2.08.</summary>
    private const ushort ProtocolMin = 0x208;

    public static bool IsOne(ImageBytes file)
        => file.Length > 0x206 && file.UInt16(0x1fe, "boot_flag") == 0xaa55 && file.UInt32(0x202, "the boot header's magic") == HdrS;

    /// <summary>The kernel's version line, as the header has it: release, builder, number and date of the build.</summary>
    public static string? Banner(ImageBytes file)
    {
        var pointer = file.UInt16(0x20e, "kernel_version");
        if (pointer == 0 || pointer + 0x200 >= file.Length) return null;
        var text = file.Span((ulong)pointer + 0x200, (ulong)Math.Min(256, file.Length - pointer - 0x200), "the version string");
        var end = text.IndexOf((byte)0);
        return end > 0 ? Encoding.Latin1.GetString(text[..end]) : null;
    }

    public static ImageBytes Payload(ImageBytes file)
    {
        var protocol = file.UInt16(0x206, "the boot protocol");
        if (protocol < ProtocolMin) throw file.Bad($"boot protocol {protocol >> 8}.{protocol & 255:d2} does not say where the kernel is packed; give an image of Linux 2.6.26 or later, or its vmlinux");
        var length = file.UInt32(0x24c, "payload_length");
        if (length == 0) throw file.Bad($"is booted as a Linux kernel is, but is another program{Name(file)}: its boot header names no packed kernel; {ForeignFile.KernelWanted}");
        int setupSectors = file.Byte(0x1f1, "setup_sects");
        if (setupSectors == 0) setupSectors = 4;
        var start = ((ulong)(setupSectors + 1) * 512) + file.UInt32(0x248, "payload_offset");
        return new(file.Slice(start, length, "the packed kernel"), file.Source);
    }

    /// <summary>What it calls itself, for a message of one line.</summary>
    private static string Name(ImageBytes file)
    {
        var name = new string([.. (Banner(file) ?? "").TakeWhile(letter => letter is >= ' ' and <= '~')]).Trim();
        return name.Length > 0 ? $" ({name})" : "";
    }
}
