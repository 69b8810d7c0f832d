using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Jupyter;

/// <summary>Answers what a frontend asks about a cell while it is being written: is it whole, what could come here, what is this.</summary>
internal sealed class CellText(MagicTable magics)
{
    public JupyterReply IsComplete(JupyterRequest request)
    {
        var code = request.Text("code").ReplaceLineEndings("\n");
        var lines = code.Split('\n');
        foreach (var line in lines.Where(MagicLine.IsMagic))
        {
            try
            {
                MagicLine.Parse(line, magics);
            }
            catch (UserErrorException)
            {
                return Answer("invalid");
            }
        }

        // Magics are no C#; without them the rest is what the compiler will see.
        return Answer(CSharpSession.Completeness(string.Join('\n', lines.Where(line => !MagicLine.IsMagic(line)))) switch
        {
            CodeCompleteness.Complete => "complete",
            CodeCompleteness.Incomplete => "incomplete",
            _ => "invalid",
        });

        static JupyterReply Answer(string status)
        {
            var content = new JsonObject { ["status"] = status };
            if (status == "incomplete") content["indent"] = "    ";
            return new("is_complete_reply", content);
        }
    }

    /// <summary>Magics, their parameters and the parameters' values. In C# nothing is completed yet.</summary>
    public JupyterReply Complete(JupyterRequest request)
    {
        var code = request.Text("code");
        var cursor = Cursor(request, code);
        var lineStart = code.LastIndexOf('\n', Math.Max(cursor - 1, 0)) + 1;
        if (cursor == 0) lineStart = 0;
        var line = code[lineStart..cursor];
        var wordStart = line.Length;
        while (wordStart > 0 && !char.IsWhiteSpace(line[wordStart - 1])) wordStart--;
        var word = line[wordStart..];
        IEnumerable<string> offers = MagicLine.IsMagic(line) ? Offers(line[..wordStart]) : line == "#" ? magics.Select(magic => magic.Directive) : [];
        return JupyterReply.Ok("complete_reply", new()
        {
            ["matches"] = new JsonArray([.. offers.Where(offer => offer.StartsWith(word, StringComparison.Ordinal)).Distinct().Select(offer => (JsonNode)offer)]),
            ["cursor_start"] = CodePoints(code, lineStart + wordStart),
            ["cursor_end"] = CodePoints(code, cursor),
            ["metadata"] = new JsonObject(),
        });
    }

    /// <summary>Explains the magic of the cursor's line.</summary>
    public JupyterReply Inspect(JupyterRequest request)
    {
        var code = request.Text("code");
        var cursor = Cursor(request, code);
        var lineStart = cursor == 0 ? 0 : code.LastIndexOf('\n', cursor - 1) + 1;
        var name = code[lineStart..].Split('\n', 2)[0].Split((char[]?)null, 2, StringSplitOptions.RemoveEmptyEntries).FirstOrDefault("");
        var magic = MagicLine.IsMagic(name) ? magics.Find(name[Magic.Prefix.Length..]) : null;
        return JupyterReply.Ok("inspect_reply", new()
        {
            ["found"] = magic is not null,
            ["data"] = magic is null ? new JsonObject() : new JsonObject { [MimeBundle.Plain] = Explain(magic) },
            ["metadata"] = new JsonObject(),
        });
    }

    private static string Explain(Magic magic)
    {
        var text = new StringBuilder($"{magic.Directive}  {magic.Help}\n");
        foreach (var parameter in magic.Parameters)
        {
            text.Append(CultureInfo.InvariantCulture, $"\n  --{parameter.Name}  {parameter.Help}");
            if (parameter.Required) text.Append(" (must be given)");
            else if (parameter.Default is { } value) text.Append(CultureInfo.InvariantCulture, $" ({value} when left out)");
        }

        foreach (var example in magic.Examples) text.Append("\n\n  ").Append(example);
        return text.Append('\n').ToString();
    }

    /// <param name="before">The line up to the word that is being written.</param>
    private IEnumerable<string> Offers(string before)
    {
        var words = before.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0) return magics.Select(magic => magic.Directive);
        if (magics.Find(words[0][Magic.Prefix.Length..]) is not { } magic) return [];
        var open = words[^1].StartsWith("--", StringComparison.Ordinal) ? magic.Parameter(words[^1][2..]) : null;
        if (open is { Flag: false }) return open.Values?.Invoke() ?? [];
        var left = magic.Parameters.Where(parameter => !words.Contains("--" + parameter.Name)).ToArray();
        return [.. left.Where(parameter => parameter.Positional && words.Length == 1).SelectMany(parameter => parameter.Values?.Invoke() ?? []), .. left.Select(parameter => "--" + parameter.Name)];
    }

    // Jupyter counts Unicode characters; .NET counts UTF-16 units.
    private static int Cursor(JupyterRequest request, string code)
    {
        var wanted = request.Number("cursor_pos", int.MaxValue);
        var at = 0;
        for (var i = 0; i < wanted && at < code.Length; i++) at += char.IsSurrogatePair(code, at) ? 2 : 1;
        return at;
    }

    private static int CodePoints(string code, int at) => code.AsSpan(0, at).ToString().EnumerateRunes().Count();
}
