using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LivePatchLab.Jupyter;

/// <summary>Whose a connection file is. Who can read its key can run code as this user, and who can write it can lead the kernel elsewhere.</summary>
internal static partial class ConnectionFileAccess
{
    /// <summary>jupyter_core writes a file with wider access only where this is set, for file systems that know no modes (jupyter_core/paths.py).</summary>
    public const string AllowVariable = "JUPYTER_ALLOW_INSECURE_WRITES";

    private const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <summary>Why the open file must not be trusted, or null.</summary>
    public static string? Problem(SafeFileHandle file)
    {
        // On Windows the folder of the user keeps others out.
        if (OperatingSystem.IsWindows() || IsAllowed(Environment.GetEnvironmentVariable(AllowVariable))) return null;
        var mode = File.GetUnixFileMode(file);
        if ((mode & Others) != 0)
            return $"others can read or write it (mode {Convert.ToString((int)mode, 8).PadLeft(4, '0')}), and its key lets them run code as you; chmod 600 it, or set {AllowVariable}=true where the file system has no modes";
        return OperatingSystem.IsLinux() && OwnerOf(file) is { } owner && owner != 0 && owner != EffectiveUser()
            ? $"it belongs to user {owner}, who could run code as you; it must be yours or root's"
            : null;
    }

    public static bool IsAllowed(string? value) => value is not null && (value.Equals("true", StringComparison.OrdinalIgnoreCase) || value == "1");

    /// <summary>Null where the kernel does not tell: .NET has no call for it, and of the system's, only statx has one layout on all processors (statx(2)).</summary>
    private static unsafe uint? OwnerOf(SafeFileHandle file)
    {
        const int EmptyPath = 0x1000, UserWanted = 0x8, StructureBytes = 256, UserAt = 20;
        var status = stackalloc byte[StructureBytes];
        return Statx(file, "", EmptyPath, UserWanted, status) == 0 ? BinaryPrimitives.ReadUInt32LittleEndian(new ReadOnlySpan<byte>(status + UserAt, sizeof(uint))) : null;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Statx(SafeFileHandle folder, string path, int flags, uint wanted, byte* status);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUser();
}
