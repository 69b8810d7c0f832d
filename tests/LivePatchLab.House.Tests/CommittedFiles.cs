using System.Diagnostics;

namespace LivePatchLab.House.Tests;

/// <summary>A file of the working copy.</summary>
/// <param name="Path">From its root, with slashes.</param>
/// <param name="Text">What is in it; empty where it is not text.</param>
public sealed record CommittedFile(string Path, string Text)
{
    public string Name => Path[(Path.LastIndexOf('/') + 1)..];

    public string Folder => Path.Contains('/') ? Path[..Path.LastIndexOf('/')] : "";

    public bool Is(params string[] extensions) => extensions.Any(e => Path.EndsWith(e, StringComparison.Ordinal));
}

/// <summary>What the repository holds: all that git would commit, so that a new file is judged before it is added.</summary>
internal static class CommittedFiles
{
    public static readonly IReadOnlyList<CommittedFile> All = [.. Paths().Order(StringComparer.Ordinal).Select(Read)];

    private static IEnumerable<string> Paths()
    {
        var start = new ProcessStartInfo("git", ["-C", LabFolder.Root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]) { RedirectStandardOutput = true };
        using var git = Process.Start(start) ?? throw new InvalidOperationException("git does not start");
        var paths = git.StandardOutput.ReadToEnd().Split('\0', StringSplitOptions.RemoveEmptyEntries);
        git.WaitForExit();
        if (git.ExitCode != 0) throw new InvalidOperationException($"git ls-files ended with {git.ExitCode} in {LabFolder.Root}");
        return paths.Distinct().Where(path => File.Exists(Path.Combine(LabFolder.Root, path)));
    }

    private static CommittedFile Read(string path)
    {
        var bytes = File.ReadAllBytes(Path.Combine(LabFolder.Root, path));
        return new(path, bytes.AsSpan().Contains((byte)0) ? "" : System.Text.Encoding.UTF8.GetString(bytes));
    }
}
