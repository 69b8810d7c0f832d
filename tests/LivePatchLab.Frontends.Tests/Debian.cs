using System.Diagnostics;

namespace LivePatchLab.Frontends.Tests;

/// <summary>The frontends as Debian packages them. Its Python is named in full: another one that comes first in PATH has not got them.</summary>
internal static class Debian
{
    public const string Python = "/usr/bin/python3";
    public const string Chromium = "/usr/bin/chromium";

    /// <summary>The packages, each with the Python module by which it is known; Chromium is a program.</summary>
    private static readonly Dictionary<string, string> Modules = new()
    {
        ["jupyter-notebook"] = "notebook",
        ["python3-jupyter-kernel-test"] = "jupyter_kernel_test",
        ["python3-nbconvert"] = "nbconvert",
    };

    private static readonly Lazy<HashSet<string>> Installed = new(Find);

    public static IEnumerable<string> Missing(IEnumerable<string> packages) => packages.Where(package => !Installed.Value.Contains(package));

    private static HashSet<string> Find()
    {
        HashSet<string> found = [];
        if (File.Exists(Chromium)) found.Add("chromium");
        if (!File.Exists(Python)) return found;
        var importable = Importable();
        found.UnionWith(Modules.Where(module => importable.Contains(module.Value)).Select(module => module.Key));
        return found;
    }

    /// <summary>Those of the modules that Python finds; it looks in no folder of the user's and not in the one it is started in.</summary>
    private static string[] Importable()
    {
        const string Look = "import importlib.util, sys; print(*[name for name in sys.argv[1:] if importlib.util.find_spec(name)])";
        using var python = Process.Start(new ProcessStartInfo(Python, ["-I", "-c", Look, .. Modules.Values]) { RedirectStandardOutput = true })!;
        var names = python.StandardOutput.ReadToEnd();
        python.WaitForExit();
        return names.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
    }
}
