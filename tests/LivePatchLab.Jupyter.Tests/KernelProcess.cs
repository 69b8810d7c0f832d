using System.Diagnostics;
using System.Text;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>A frontend with a kernel that is a process of the program, as Jupyter starts it.</summary>
internal sealed class KernelProcess(params (string Name, string Value)[] environment) : JupyterClient(folder => new Running(folder, environment))
{
    public static string Program { get; } = Path.Combine(
        LabFolder.Root, "src", "LivePatchLab.Cli", "bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "livepatch");

    public Process Process => ((Running)Kernel).Process;

    /// <summary>Sends a signal by its name, as "INT".</summary>
    public void Signal(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", $"{Process.Id}"]);
        kill.WaitForExit();
        kill.ExitCode.ShouldBe(0);
    }

    protected override string Errors() => ((Running)Kernel).Errors();

    private sealed class Running : IDisposable
    {
        private readonly StringBuilder _errors = new();

        public Running(ConnectionFolder folder, (string Name, string Value)[] environment)
        {
            var start = new ProcessStartInfo(Program, ["jupyter", "kernel", folder.File]) { RedirectStandardError = true, RedirectStandardOutput = true };
            foreach (var (name, value) in environment) start.Environment[name] = value;
            Process = Process.Start(start)!;
            Process.ErrorDataReceived += (_, line) =>
            {
                lock (_errors) _errors.AppendLine(line.Data);
            };
            Process.BeginErrorReadLine();
        }

        public Process Process { get; }

        public string Errors()
        {
            lock (_errors) return _errors.ToString();
        }

        public void Dispose()
        {
            if (!Process.HasExited) Process.Kill();
            Process.WaitForExit();
            Process.Dispose();
        }
    }
}
