namespace LivePatchLab.Linux;

/// <summary>What a file is opened as; what is said of one that is something else depends on it.</summary>
internal enum ImageUse
{
    /// <summary>A program to run.</summary>
    Program,

    /// <summary>A kernel to read and patch.</summary>
    Kernel,
}
