using System.Diagnostics;

namespace LivePatchLab.House.Tests;

/// <summary>A tree of its own for tests/run.sh, with programs that do what the test wants.</summary>
internal sealed class TestRunTree : IDisposable
{
    private const string CountersLine = "echo \"<Counters total=\\\"$1\\\" executed=\\\"$2\\\" passed=\\\"$3\\\" failed=\\\"0\\\" />\" >\"artifacts/test-results/$project.trx\"";

    private readonly DirectoryInfo _tree = Directory.CreateTempSubdirectory("livepatch-");

    public TestRunTree()
    {
        foreach (var script in (string[])["run.sh", "kernels.sh"]) Write($"tests/{script}", File.ReadAllText(Path.Combine(LabFolder.Root, "tests", script)));

        // Nothing is to be installed for this.
        WriteProgram("apt-get", "exit 1");
        Environment["PATH"] = $"{At("bin")}:{System.Environment.GetEnvironmentVariable("PATH")}";
        Environment["LIVEPATCH_KERNELS"] = At("");
    }

    /// <summary>What is added to the environment of the script; null takes a variable away.</summary>
    public Dictionary<string, string?> Environment { get; } = [];

    public string At(string path) => Path.Combine(_tree.FullName, path);

    /// <param name="cases">What the test run of a project does: cases of its name, in bash.</param>
    /// <param name="projects">Those that there are.</param>
    public (int Status, List<string> Lines) Run(string cases, params string[] projects)
    {
        foreach (var project in projects)
            Write($"tests/LivePatchLab.{project}.Tests/LivePatchLab.{project}.Tests.csproj", "");
        WriteProgram("dotnet", $"[ \"$1\" = test ] || exit 0\nproject=$(basename \"$2\" .csproj)\ncounters() {{ {CountersLine}; }}\ncase $project in {cases} esac");
        var start = new ProcessStartInfo("env", ["--default-signal=INT", "bash", "-c", "echo $$ >script.pid; exec bash tests/run.sh"])
        {
            WorkingDirectory = _tree.FullName,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach (var (name, value) in Environment) start.Environment[name] = value;
        using var run = Process.Start(start) ?? throw new InvalidOperationException("bash does not start");
        run.StandardInput.Close();
        var output = run.StandardOutput.ReadToEnd();
        run.WaitForExit();
        return (run.ExitCode, [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries)]);
    }

    public void WriteProgram(string name, string text)
    {
        Write($"bin/{name}", $"#!/usr/bin/env bash\n{text}\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(At($"bin/{name}"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public void Write(string path, string text)
    {
        var file = new FileInfo(At(path));
        file.Directory!.Create();
        File.WriteAllText(file.FullName, text);
    }

    public void Dispose() => _tree.Delete(recursive: true);
}
