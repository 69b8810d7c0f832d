using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace LivePatchLab.Cli;

/// <summary>The help of a command whose options must come before its arguments: System.CommandLine's usage line has them last.</summary>
internal sealed class OptionsFirstHelp : SynchronousCommandLineAction
{
    private const string OptionsLast = "<PROGRAM> [<ARG>...] [options]", OptionsFirst = "[options] <PROGRAM> [<ARG>...]";

    private readonly Command _command;
    private readonly HelpAction _help;

    private OptionsFirstHelp(Command command, HelpAction help)
    {
        _command = command;
        _help = help;
    }

    /// <summary>Who asks for help need not have given all arguments.</summary>
    public override bool ClearsParseErrors => _help.ClearsParseErrors;

    /// <summary>Puts the usage line of a command right, wherever its help is asked for.</summary>
    public static void Use(RootCommand root, Command command)
    {
        var option = root.Options.OfType<HelpOption>().Single();
        option.Action = new OptionsFirstHelp(command, (HelpAction)option.Action!);
    }

    public override int Invoke(ParseResult parseResult)
    {
        if (parseResult.CommandResult.Command != _command) return _help.Invoke(parseResult);
        var output = parseResult.InvocationConfiguration.Output;
        var text = new StringWriter();
        parseResult.InvocationConfiguration.Output = text;
        var status = _help.Invoke(parseResult);
        output.Write(text.ToString().Replace(OptionsLast, OptionsFirst, StringComparison.Ordinal));
        parseResult.InvocationConfiguration.Output = output;
        return status;
    }
}
