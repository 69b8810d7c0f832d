namespace LivePatchLab.Notebooks.Tests;

/// <summary>Small magics that know nothing of machines, and a session with them.</summary>
internal static class TestMagics
{
    public static MagicTable Table() =>
    [
        new Magic("patch", "Switches sites.", call =>
        {
            call.Display($"{call.Text("engine")} on {call.Count("sites")} sites{(call.Flag("json") ? ", json" : "")}");
            return Task.CompletedTask;
        })
        {
            Parameters =
            [
                new("engine", "the protocol") { Required = true, Values = () => ["stop_machine", "text_poke_bp", "text_poke_bp_list"] },
                new("sites", "how many") { Default = "7" },
                new("json", "as JSON") { Flag = true },
            ],
        },
        new Magic("set", "Makes a variable.", call =>
        {
            call.Set(call.Text("name"), (int)call.Number("value"));
            return Task.CompletedTask;
        })
        { Parameters = [new("name", "its name") { Required = true }, new("value", "its value") { Default = "1" }] },
        new Magic("fail", "Fails.", call => throw (call.Flag("bug") ? new InvalidOperationException("a bug\nof ours") : new UserErrorException("there is no machine"))
        ) { Parameters = [new("bug", "not as a user's error") { Flag = true }] },
        new Magic("count", "Counts, and shows how far it is.", async call =>
        {
            var shown = call.Display("0");
            for (var i = 1; i <= 3; i++)
            {
                call.Progress.Report(new(i, 3, "steps"));
                shown.Update(i.ToString(System.Globalization.CultureInfo.InvariantCulture));
                await Task.Yield();
            }
        }),
        new Magic("wait", "Waits until interrupted.", call => Task.Delay(Timeout.Infinite, call.CancellationToken)),
        new Magic("lab", "Lists.", call =>
        {
            call.Display(call.Text("what"));
            return Task.CompletedTask;
        })
        { Parameters = [new("what", "of what") { Positional = true, Default = "magics" }] },
    ];

    public static NotebookSession Session() => new(Table(), new CSharpSession());
}

/// <summary>One session and what its cells show, cell by cell.</summary>
internal sealed class TestRun
{
    private readonly NotebookSession _session = TestMagics.Session();
    private int _cell;

    public List<Progress> Progress { get; } = [];

    public NotebookSession Session => _session;

    public async Task<(CellResult Result, IReadOnlyList<NotebookOutput> Outputs)> Cell(string code, CancellationToken token = default)
    {
        var output = new OutputCollector(Progress.Add);
        var result = await _session.RunCellAsync(code, ++_cell, output, token);
        return (result, output.Outputs);
    }

    /// <summary>The plain text of everything that the cell showed, its value last; it must not fail.</summary>
    public async Task<string> Text(string code)
    {
        var (result, outputs) = await Cell(code);
        result.Failure?.ToString().ShouldBeNull();
        return string.Join("|", outputs.Select(Plain).Concat(result.Value is null ? [] : [result.Value.Text(MimeBundle.Plain)!]));
    }

    /// <summary>The message of a cell that must fail.</summary>
    public async Task<string> Error(string code)
    {
        var (result, _) = await Cell(code);
        return result.Failure.ShouldNotBeNull().ToString();
    }

    public static string Plain(NotebookOutput output) => output switch
    {
        StreamOutput stream => stream.Text,
        DisplayOutput display => display.Data.Text(MimeBundle.Plain)!,
        ResultOutput result => result.Data.Text(MimeBundle.Plain)!,
        ErrorOutput error => string.Join('\n', error.Traceback),
        _ => "?",
    };
}

/// <summary>Tests that run cells take turns: the console is one for the whole process, and a forced interrupt shakes it.</summary>
[CollectionDefinition("Sessions", DisableParallelization = true)]
public sealed class SessionsCollection;
