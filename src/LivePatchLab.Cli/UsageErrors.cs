using System.CommandLine;
using LivePatchLab.Linux;

namespace LivePatchLab.Cli;

/// <summary>Says what is wrong with a command line in one line, and what to do.</summary>
internal static class UsageErrors
{
    public static int Tell(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var path = Path(parsed.CommandResult);
        var unmatched = parsed.UnmatchedTokens.FirstOrDefault();
        var known = command.Options.SelectMany(o => o.Aliases.Append(o.Name)).Concat(command.Subcommands.Select(c => c.Name));
        var message = unmatched is null
            ? parsed.Errors[0].Message.TrimEnd('.')
            : Suggestion.Nearest(known, unmatched) is { } nearest
                ? $"'{unmatched}' is not known here. Did you mean {nearest}?"
                : $"'{unmatched}' is not known here";
        Console.Error.WriteLine($"{path}: {message}  ({path} --help shows how)");
        return ExitCode.BadInput;
    }

    private static string Path(System.CommandLine.Parsing.CommandResult result)
        => result.Parent is System.CommandLine.Parsing.CommandResult parent ? $"{Path(parent)} {result.Command.Name}" : "livepatch";
}
