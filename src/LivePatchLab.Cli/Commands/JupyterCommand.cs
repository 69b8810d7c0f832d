using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using LivePatchLab.Jupyter;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Cli;

/// <summary>livepatch jupyter: the lab in Jupyter.</summary>
internal static class JupyterCommand
{
    public static Command Create()
    {
        var prefix = new Option<string?>("--prefix") { Description = "installs below DIR/share/jupyter; without it, for this user only", HelpName = "DIR" };
        var install = new Command("install", """
            Tells Jupyter of the kernel "C# (LivePatchLab)", so that its notebooks can be opened there.

            Examples:
              livepatch jupyter install
              livepatch jupyter install --prefix /usr/local
            """)
        { prefix };
        install.SetAction(parsed =>
        {
            Console.Out.WriteLine(KernelSpec.Install(parsed.GetValue(prefix), Program()));
            return ExitCode.Done;
        });

        var file = new Argument<string>("CONNECTION_FILE") { Description = "what Jupyter wrote for this kernel" };
        var kernel = new Command("kernel", "Runs the kernel. Jupyter calls this, with a file that says where to listen.") { file };
        // Not as a task: around one, the command line's library would take SIGINT as the wish to end the program.
        kernel.SetAction(parsed => Run(parsed.GetValue(file)!));
        return new("jupyter", "The lab as a kernel of Jupyter.") { install, kernel };
    }

    private static int Run(string file)
    {
        var connection = ConnectionFile.Read(file);
        var memory = MemoryCeiling.From(Environment.GetEnvironmentVariable(MemoryCeiling.Variable));
        memory.Enforce();
        ThreadFailures.Install();
        var server = new KernelServer(connection, new NotebookSession(LabMagics.Table(), new CSharpSession(CSharpSessionOptions.Lab)), memory);
        // Frontends that know no message for it interrupt by signal, and Ctrl+C in the terminal of a Jupyter reaches its kernels too: neither may end the session.
        using var interrupt = On(PosixSignal.SIGINT, server.Interrupt);
        using var termination = On(PosixSignal.SIGTERM, server.Stop);
        // The compiler takes longest; while the frontend says hello, it is already at work. A failure of it shows again in the first cell.
        _ = CSharpSession.Warm();
        using var parent = Parent();
        if (parent is not null)
        {
            parent.EnableRaisingEvents = true;
            parent.Exited += (_, _) => server.Stop();
        }

        server.WaitForShutdown();
        return ExitCode.Done;
    }

    private static PosixSignalRegistration On(PosixSignal signal, Action act) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        act();
    });

    /// <summary>The Jupyter that has started this kernel: one that was killed shuts nothing down, and its kernels would stay for ever.</summary>
    private static Process? Parent()
    {
        if (!int.TryParse(Environment.GetEnvironmentVariable("JPY_PARENT_PID"), NumberStyles.None, CultureInfo.InvariantCulture, out var id)) return null;
        try
        {
            return Process.GetProcessById(id);
        }
        catch (ArgumentException)
        {
            // A number that means nothing here, as from another container, must not end the kernel.
            return null;
        }
    }

    /// <summary>The words that start this program again: by itself, or by `dotnet` where it was started so.</summary>
    private static string[] Program()
    {
        var program = Environment.ProcessPath ?? throw new InvalidOperationException("this process has no path");
        return Path.GetFileNameWithoutExtension(program) == "dotnet" ? [program, Path.Combine(AppContext.BaseDirectory, "livepatch.dll")] : [program];
    }
}
