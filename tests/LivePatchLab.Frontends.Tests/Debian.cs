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
        ["jupyter-notebook"] = "notebook.notebookapp",
        ["python3-jupyter-kernel-test"] = "jupyter_kernel_test",
        ["python3-nbconvert"] = "nbconvert",
    };

    private static readonly Lazy<HashSet<string>> Installed = new(Find);

    public static IEnumerable<string> Missing(IEnumerable<string> packages) => packages.Where(package => !Installed.Value.Contains(package));

    private static HashSet<string> Find()
    {
        HashSet<string> found = [];
        if (File.Exists(Chromium)) found.Add("chromium");
        if (File.Exists(Python)) found.UnionWith(Modules.Where(module => CanImport(module.Value)).Select(module => module.Key));
        return found;
    }

    private static bool CanImport(string module)
    {
        using var python = Process.Start(new ProcessStartInfo(Python, ["-c", $"import {module}"]) { RedirectStandardError = true })!;
        python.StandardError.ReadToEnd();
        python.WaitForExit();
        return python.ExitCode == 0;
    }
}
