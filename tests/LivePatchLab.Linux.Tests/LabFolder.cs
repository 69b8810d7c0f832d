namespace LivePatchLab.Linux.Tests;

/// <summary>The working copy that the tests were built from.</summary>
internal static class LabFolder
{
    public static readonly string Root = FindRoot();

    public static string Guest(string name) => Path.Combine(Root, "data", "guests", name);

    public static string KernelTable(string name) => Path.Combine(Root, "data", "kernels", name);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "LivePatchLab.sln"))) return folder.FullName;
        throw new InvalidOperationException($"no LivePatchLab.sln above {AppContext.BaseDirectory}");
    }
}
