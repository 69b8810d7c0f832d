using System.Globalization;

namespace LivePatchLab.Linux;

/// <summary>The kernel's error numbers (include/uapi/asm-generic/errno-base.h), negated as functions return them.</summary>
public static class Errno
{
    public const int Success = 0;
    public const int Eperm = -1;
    public const int Efault = -14;
    public const int Ebusy = -16;
    public const int Einval = -22;
    public const int Enosys = -38;

    /// <summary>The name, "-EFAULT", or the number where it has none here.</summary>
    public static string NameOf(int errno) => errno switch
    {
        Success => "0",
        Eperm => "-EPERM",
        Efault => "-EFAULT",
        Ebusy => "-EBUSY",
        Einval => "-EINVAL",
        Enosys => "-ENOSYS",
        _ => errno.ToString(CultureInfo.InvariantCulture),
    };
}
