using System.CommandLine;
using System.Text.RegularExpressions;
using LivePatchLab.Linux;

namespace LivePatchLab.Cli;

/// <summary>Says what is wrong with a command line in one line, and what to do.</summary>
internal static partial class UsageErrors
{
    public static int Tell(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var path = Path(parsed.CommandResult);
        var unmatched = parsed.UnmatchedTokens.FirstOrDefault();
        var known = command.Options.SelectMany(o => o.Aliases.Append(o.Name)).Concat(command.Subcommands.Select(c => c.Name));
        var message = unmatched is null
            ? Plain(parsed.Errors[0].Message)
            : Suggestion.Nearest(known, unmatched) is { } nearest
                ? $"'{unmatched}' is not known here. Did you mean {nearest}?"
                : $"'{unmatched}' is not known here";
        Console.Error.WriteLine($"{path}: {message}  ({path} --help shows how)");
        return ExitCode.BadInput;
    }

    /// <summary>The library's message, without the names of .NET's types.</summary>
    private static string Plain(string message)
    {
        if (NoNumber().Match(message) is { Success: true } number) return $"{number.Groups["option"].Value} {number.Groups["value"].Value}: give a whole number that fits{(number.Groups["sign"].Success ? ", not below 0" : "")}";
        if (NoValue().Match(message) is { Success: true } missing) return $"{missing.Groups["option"].Value}: its value is missing";
        if (message.StartsWith("Required argument missing", StringComparison.Ordinal)) return "its argument is missing";
        if (message.StartsWith("Required command", StringComparison.Ordinal)) return "say which command";
        return message.TrimEnd('.');
    }

    [GeneratedRegex("^Cannot parse argument '(?<value>.*)' for option '(?<option>[^']*)' as expected type 'System.(?<sign>U)?Int")]
    private static partial Regex NoNumber();

    [GeneratedRegex("^Required argument missing for option: '(?<option>[^']*)'")]
    private static partial Regex NoValue();

    private static string Path(System.CommandLine.Parsing.CommandResult result)
        => result.Parent is System.CommandLine.Parsing.CommandResult parent ? $"{Path(parent)} {result.Command.Name}" : "livepatch";
}
