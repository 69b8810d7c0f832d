using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Xml.Linq;
using LivePatchLab.Linux;

namespace LivePatchLab.Notebooks;

/// <summary>The files that some packages bring, with all that they depend on, for this runtime on this computer.</summary>
/// <param name="Assemblies">Managed ones.</param>
/// <param name="Natives">Native libraries.</param>
internal sealed record PackageFiles(IReadOnlyList<string> Assemblies, IReadOnlyList<string> Natives);

/// <summary>
/// Gets packages by the SDK's own restore, so feeds, credentials, caches and the choice of versions are those of every other project on this computer.
/// A generated project stands for the packages; its folder is named by its text, so what was restored once starts no process again.
/// </summary>
internal static class PackageRestore
{
    private const string ProjectName = "packages.csproj";

    /// <summary>How often the user is told that it goes on.</summary>
    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(300);

    private static string CacheFolder => Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData) is { Length: > 0 } folder ? folder : Path.GetTempPath(), "LivePatchLab", "packages");

    /// <param name="packages">What to get.</param>
    /// <param name="sources">Where to look, beside the feeds that are configured.</param>
    /// <param name="tell">Told what goes on, from time to time.</param>
    /// <param name="token">Ends it; nothing is kept of it.</param>
    /// <exception cref="UserErrorException">It failed, in the words of the restore.</exception>
    /// <exception cref="UnsupportedInputException">There is no SDK.</exception>
    public static async Task<PackageFiles> RunAsync(IReadOnlyList<ReferenceDirective> packages, IReadOnlyList<string> sources, Action<string> tell, CancellationToken token)
    {
        var project = Project(packages, sources);
        var folder = Path.Combine(CacheFolder, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(project)))[..32]);
        if (Read(folder) is { } known)
            return known;
        var sdk = Sdk() ?? throw new UnsupportedInputException(
            "#r \"nuget: …\" needs the .NET SDK, and only the runtime is here; install the SDK, or name a file: #r \"library.dll\"");
        Directory.CreateDirectory(folder);
        // An empty one stops the search for those of whatever project lies above the cache.
        foreach (var name in (string[])["Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props"])
            await File.WriteAllTextAsync(Path.Combine(folder, name), "<Project />\n", token);
        await File.WriteAllTextAsync(Path.Combine(folder, ProjectName), project, token);
        await RestoreAsync(sdk, folder, $"restoring {string.Join(", ", packages.Select(Name))}", tell, token);
        return Read(folder) ?? throw new UserErrorException($"the restore of {string.Join(", ", packages.Select(Name))} left no list of files in {folder}");
    }

    public static string Name(ReferenceDirective package) => package.Version is null ? package.Name : $"{package.Name} {package.Version}";

    private static string Project(IReadOnlyList<ReferenceDirective> packages, IReadOnlyList<string> sources) => new XElement("Project",
        new XAttribute("Sdk", "Microsoft.NET.Sdk"),
        new XElement("PropertyGroup",
            new XElement("TargetFramework", $"net{Environment.Version.Major}.0"),
            new XElement("RuntimeIdentifier", RuntimeInformation.RuntimeIdentifier),
            new XElement("SelfContained", "false"),
            new XElement("UseAppHost", "false"),
            new XElement("NuGetAudit", "false"),
            new XElement("RestoreRootConfigDirectory", Environment.CurrentDirectory),
            new XElement("RestoreAdditionalProjectSources", string.Join(';', sources))),
        new XElement("ItemGroup", packages.Select(package => new XElement("PackageReference",
            new XAttribute("Include", package.Name),
            // A bare version means "or later" to a project; who writes one in a notebook means just that one.
            new XAttribute("Version", package.Version is not { } version ? "*" : version.AsSpan().ContainsAny("*[](,") ? version : $"[{version}]"))))).ToString() + "\n";

    private static async Task RestoreAsync(string sdk, string folder, string what, Action<string> tell, CancellationToken token)
    {
        var start = new ProcessStartInfo(sdk, ["restore", ProjectName, "-nologo", "-v:q", "-nodeReuse:false"])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        // A build that has started us leaves its own MSBuild in the environment; this one is to find the SDK's.
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("MSBuild", StringComparison.OrdinalIgnoreCase)).ToArray())
            start.Environment.Remove(name);
        start.Environment["DOTNET_CLI_UI_LANGUAGE"] = "en";
        start.Environment["DOTNET_NOLOGO"] = "1";
        using var process = Process.Start(start)!;
        try
        {
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEndAsync(token);
            var errors = process.StandardError.ReadToEndAsync(token);
            var ended = process.WaitForExitAsync(token);
            do tell(what);
            while (await Task.WhenAny(ended, Task.Delay(ProgressInterval, token)) != ended && !token.IsCancellationRequested);
            await ended;
            if (process.ExitCode != 0)
                throw new UserErrorException(Reason(await output + await errors) ?? $"{what} failed with status {process.ExitCode}");
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }

    /// <summary>The first error, without the project that nobody has written and with its details on the same line.</summary>
    private static string? Reason(string output)
    {
        const string Mark = ": error ";
        var lines = output.Split('\n').Select(line => line.Trim()).ToArray();
        var first = Array.FindIndex(lines, line => line.Contains(Mark, StringComparison.Ordinal));
        if (first < 0)
            return lines.FirstOrDefault(line => line.Length > 0);
        var text = new StringBuilder(lines[first][(lines[first].IndexOf(Mark, StringComparison.Ordinal) + Mark.Length)..]);
        foreach (var line in lines.Skip(first + 1).TakeWhile(line => line.Length > 0 && !line.Contains(Mark, StringComparison.Ordinal) && !line.Contains(": warning ", StringComparison.Ordinal)))
            text.Append(' ').Append(line);
        var project = text.ToString().IndexOf(" [", StringComparison.Ordinal) is >= 0 and var at && text.ToString().Contains(ProjectName, StringComparison.Ordinal) ? at : text.Length;
        return text.ToString(0, project);
    }

    /// <summary>The program that restores; null when no SDK is beside this runtime nor on the PATH.</summary>
    private static string? Sdk()
    {
        var name = OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet";
        string[] folders =
        [
            Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..")),
            .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries),
        ];
        return folders.Select(folder => Path.Combine(folder, name)).Where(File.Exists)
            .FirstOrDefault(program => Directory.Exists(Path.Combine(Path.GetDirectoryName(File.ResolveLinkTarget(program, returnFinalTarget: true)?.FullName ?? program)!, "sdk")));
    }

    /// <summary>What an earlier restore has found, as long as all of it is still there; else null.</summary>
    private static PackageFiles? Read(string folder)
    {
        var assets = Path.Combine(folder, "obj", "project.assets.json");
        if (!File.Exists(assets))
            return null;
        using var json = JsonDocument.Parse(File.ReadAllBytes(assets));
        var root = json.RootElement;
        // A restore that fails leaves its list too, with the reasons in it.
        if (root.TryGetProperty("logs", out var logs) && logs.EnumerateArray().Any(log => log.GetProperty("level").GetString() == "Error"))
            return null;
        var roots = root.GetProperty("packageFolders").EnumerateObject().Select(each => each.Name).ToArray();
        var libraries = root.GetProperty("libraries");
        // There are two targets, one for any computer and one for this; the latter's name ends with the runtime's.
        var target = root.GetProperty("targets").EnumerateObject().First(each => each.Name.Contains('/')).Value;
        var assemblies = new List<string>();
        var natives = new List<string>();
        foreach (var library in target.EnumerateObject())
        {
            var path = libraries.GetProperty(library.Name).GetProperty("path").GetString()!;
            foreach (var (kind, files) in (ReadOnlySpan<(string, List<string>)>)[("runtime", assemblies), ("native", natives)])
            {
                if (!library.Value.TryGetProperty(kind, out var items))
                    continue;
                foreach (var item in items.EnumerateObject().Where(item => !item.Name.EndsWith("/_._", StringComparison.Ordinal)))
                {
                    if (roots.Select(each => Path.Combine(each, path, item.Name)).FirstOrDefault(File.Exists) is not { } file)
                        return null;
                    files.Add(file);
                }
            }
        }
        return new([.. assemblies.Where(file => Path.GetExtension(file) == ".dll")], natives);
    }
}
