using System.CommandLine;

namespace LivePatchLab.Cli;

/// <summary>Commands that compute for long and end in order on Ctrl+C.</summary>
internal static class InterruptibleAction
{
    /// <summary>
    /// As SetAction, on another thread: System.CommandLine listens to SIGINT and SIGTERM only once the action has come back with a task, and one that computes before it
    /// comes back would be killed (System.CommandLine 2.0, InvocationPipeline).
    /// </summary>
    public static void SetInterruptibleAction(this Command command, Func<ParseResult, CancellationToken, int> action)
        => command.SetAction((parsed, cancellation) => Task.Run(() => action(parsed, cancellation), CancellationToken.None));
}
