using System.CommandLine;

namespace LivePatchLab.Cli;

/// <summary>Command lines of the form OPTIONS PROGRAM ARG…, where all that follows PROGRAM is the program's, whatever it looks like.</summary>
/// <remarks>
/// System.CommandLine takes options wherever they stand, drops a "--", and reads "@file" as a file of arguments. Behind a "--" of
/// ours it leaves all as it is, so one is put before PROGRAM.
/// </remarks>
internal static class VerbatimArguments
{
    /// <summary>The arguments with "--" before the program, where these are the command's and name one.</summary>
    /// <param name="command">The command, the first of its arguments being the program.</param>
    /// <param name="root">The command above it, whose options are known to it too.</param>
    /// <param name="arguments">All of the command line.</param>
    public static string[] Keep(Command command, Command root, string[] arguments)
    {
        if (arguments.Length == 0 || arguments[0] != command.Name) return arguments;
        Option[] options = [.. command.Options, .. root.Options.Where(option => option.Recursive)];
        for (var i = 1; i < arguments.Length && arguments[i] != "--"; i++)
        {
            if (Named(options, arguments[i], out var hasValue) is not { } option) return [.. arguments[..i], "--", .. arguments[i..]];
            // A value that is missing, as in "--cpus --stats", is told of by the parser.
            var takesNext = !hasValue && option.Arity.MinimumNumberOfValues > 0 && i + 1 < arguments.Length && arguments[i + 1] != "--" && Named(options, arguments[i + 1], out _) is null;
            if (takesNext) i++;
        }

        return arguments;
    }

    /// <summary>The option of that name, which may stand as "--name=value" or "--name:value"; null where there is none.</summary>
    private static Option? Named(Option[] options, string argument, out bool hasValue)
    {
        var end = argument.AsSpan().IndexOfAny('=', ':');
        hasValue = end >= 0;
        var name = hasValue ? argument[..end] : argument;
        return Array.Find(options, option => option.Name == name || option.Aliases.Contains(name));
    }
}
