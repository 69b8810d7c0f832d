using System.CommandLine;
using LivePatchLab.Cli;
using LivePatchLab.Linux;

var root = new RootCommand("""
    LivePatchLab: a laboratory for live code patching on an emulated SMP x86-64 machine.

    Examples:
      livepatch patch --engine text_poke_bp_list --cpus 8
      livepatch patch --image /boot/vmlinuz-6.1.0-56-cloud-amd64 --engine text_poke_bp --cpus 4 --json
      livepatch explore data/litmus
      livepatch kernel info /boot/vmlinuz-6.1.0-56-cloud-amd64
      livepatch notebook run notebooks/02-sync-cost.ipynb --output output --html
      livepatch jupyter install
      livepatch run --cpus 4 data/guests/locks
    """);
var run = RunCommand.Create();
root.Subcommands.Add(run);
root.Subcommands.Add(KernelCommand.Create());
root.Subcommands.Add(PatchCommand.Create());
root.Subcommands.Add(SweepCommand.Create());
root.Subcommands.Add(ExploreCommand.Create());
root.Subcommands.Add(NotebookCommand.Create());
root.Subcommands.Add(JupyterCommand.Create());

OptionsFirstHelp.Use(root, run);
var parsed = root.Parse(VerbatimArguments.Keep(run, root, args));
if (parsed.Errors.Count > 0) return UsageErrors.Tell(parsed);
try
{
    return await parsed.InvokeAsync(new InvocationConfiguration
    {
        EnableDefaultExceptionHandler = false,
        // After Ctrl+C: room to print what is done, or for a cell that does not listen to be given up.
        ProcessTerminationTimeout = TimeSpan.FromSeconds(10),
    });
}
catch (BadInputException e)
{
    return Tell(e.Message, ExitCode.BadInput);
}
catch (UnsupportedInputException e)
{
    return Tell(e.Message, ExitCode.Unsupported);
}
catch (OperationCanceledException)
{
    return Tell("interrupted", ExitCode.Interrupted);
}
catch (Exception e) when (e is IOException or UnauthorizedAccessException)
{
    // A folder that cannot be made, a disk that is full: the computer's, and its message names the path.
    return Tell(e.Message, ExitCode.BadInput);
}
catch (Exception e)
{
    // Nobody outside the lab can do anything with our frames; who develops it asks for them.
    if (Environment.GetEnvironmentVariable("LIVEPATCH_TRACE") is { Length: > 0 }) throw;
    return Tell($"a bug of the lab, please report it with the command: {e.GetType().Name}: {e.Message.ReplaceLineEndings(" ")}  (LIVEPATCH_TRACE=1 shows where)", ExitCode.InternalError);
}

static int Tell(string message, int status)
{
    Console.Error.WriteLine("livepatch: " + message);
    return status;
}
