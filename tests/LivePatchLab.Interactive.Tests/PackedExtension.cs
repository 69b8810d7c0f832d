using System.Diagnostics;
using System.IO.Compression;
using System.Reflection;

namespace LivePatchLab.Interactive.Tests;

/// <summary>The package, made once for all tests as its user makes it, and unpacked as a restore unpacks it.</summary>
internal static class PackedExtension
{
    private const string Folder = "package";

    private static readonly Lazy<(string Archive, string Root)> Packed = new(Pack);

    public static string Archive => Packed.Value.Archive;

    public static string Root => Packed.Value.Root;

    public static string Bundle => Path.Combine(Root, "bundle", "net10.0");

    public static string Project => Path.Combine(LabFolder.Root, "src", "LivePatchLab.Interactive");

    /// <summary>A copy of the unpacked package, to be spoilt.</summary>
    public static string Copy(string name)
    {
        var copy = Path.Combine(Path.GetDirectoryName(Root)!, name);
        if (Directory.Exists(copy))
            Directory.Delete(copy, recursive: true);
        foreach (var file in Directory.EnumerateFiles(Root, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(copy, Path.GetRelativePath(Root, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
        return copy;
    }

    private static (string Archive, string Root) Pack()
    {
        var output = Path.Combine(AppContext.BaseDirectory, Folder);
        if (Directory.Exists(output))
            Directory.Delete(output, recursive: true);
        var configuration = typeof(PackedExtension).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;
        var start = new ProcessStartInfo("dotnet", ["pack", Project, "-c", configuration, "--no-build", "-o", output, "-v:quiet", "-nodeReuse:false"])
        {
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        using var pack = Process.Start(start) ?? throw new InvalidOperationException("dotnet does not start");
        pack.StandardInput.Close();
        var said = pack.StandardOutput.ReadToEnd();
        pack.WaitForExit();
        pack.ExitCode.ShouldBe(0, said);
        var archive = Directory.GetFiles(output, "*.nupkg").ShouldHaveSingleItem();
        var root = Path.Combine(output, "unpacked");
        ZipFile.ExtractToDirectory(archive, root);
        return (archive, root);
    }
}
