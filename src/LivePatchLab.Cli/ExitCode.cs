namespace LivePatchLab.Cli;

/// <summary>What the program's status says; scripts depend on it.</summary>
internal static class ExitCode
{
    public const int Done = 0;

    /// <summary>A cell failed, a patch failed, or a violation was found.</summary>
    public const int Failed = 1;

    /// <summary>Bad input or usage.</summary>
    public const int BadInput = 2;

    /// <summary>Not to be had here: a codec, an engine, a system call.</summary>
    public const int Unsupported = 3;

    /// <summary>A bug of the lab: EX_SOFTWARE of sysexits.h.</summary>
    public const int InternalError = 70;

    /// <summary>128 and SIGINT, as a shell shows it.</summary>
    public const int Interrupted = 130;
}
