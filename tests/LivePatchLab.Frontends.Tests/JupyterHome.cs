using System.Diagnostics;

namespace LivePatchLab.Frontends.Tests;

/// <summary>
/// A user's Jupyter with the kernel installed, in a folder of its own: what the frontends write stays in it, and what they find of the user who runs the tests is nothing.
/// </summary>
public sealed class JupyterHome : IDisposable
{
    private static readonly TimeSpan LongestRun = TimeSpan.FromMinutes(5);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("livepatch-");
    private readonly Lazy<string> _prefix;

    public JupyterHome() => _prefix = new(Install);

    /// <summary>A new folder in it.</summary>
    public string NewFolder(string name) => Directory.CreateDirectory(Path.Combine(_folder.FullName, name)).FullName;

    /// <summary>How Debian's Python is started.</summary>
    public ProcessStartInfo Python(params string[] arguments)
    {
        var start = new ProcessStartInfo(Debian.Python, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["HOME"] = NewFolder("home");
        start.Environment["JUPYTER_PATH"] = Path.Combine(_prefix.Value, "share", "jupyter");
        start.Environment["JUPYTER_CONFIG_DIR"] = NewFolder("config");
        start.Environment["JUPYTER_DATA_DIR"] = NewFolder("data");
        start.Environment["JUPYTER_RUNTIME_DIR"] = NewFolder("runtime");
        start.Environment["IPYTHONDIR"] = NewFolder("ipython");
        start.Environment["PYTHONNOUSERSITE"] = "1";
        start.Environment.Remove("PYTHONPATH");
        start.Environment.Remove("PYTHONHOME");
        return start;
    }

    /// <summary>Runs a program to its end.</summary>
    /// <exception cref="TimeoutException">It hangs; it and all that it started have been ended.</exception>
    internal static (int Status, string Output, string Errors) Run(ProcessStartInfo start)
    {
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(LongestRun))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{string.Join(' ', start.ArgumentList)} did not end; it said:\n{output.Result}\n{errors.Result}");
        }

        return (process.ExitCode, output.Result, errors.Result);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private string Install()
    {
        var prefix = NewFolder("prefix");
        var program = Path.Combine(LabFolder.Root, "src", "LivePatchLab.Cli", "bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "livepatch");
        var start = new ProcessStartInfo(program, ["jupyter", "install", "--prefix", prefix]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        var (status, _, errors) = Run(start);
        status.ShouldBe(0, errors);
        return prefix;
    }
}
