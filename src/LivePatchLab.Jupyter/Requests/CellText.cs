using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Jupyter;

/// <summary>Answers what a frontend asks about a cell while it is being written: is it whole, what could come here, what is this.</summary>
internal sealed class CellText(NotebookSession session)
{
    private MagicTable Magics => session.Magics;

    public JupyterReply IsComplete(JupyterRequest request)
    {
        var code = request.Text("code").ReplaceLineEndings("\n");
        if (AskedAbout(code) is not null) return Answer("complete");
        foreach (var line in code.Split('\n').Where(MagicLine.IsMagic))
        {
            try
            {
                MagicLine.Parse(line, Magics);
            }
            catch (UserErrorException)
            {
                return Answer("invalid");
            }
        }

        return Answer(CSharpSession.Completeness(code) switch
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

    /// <summary>In a magic line: magics, their parameters and the parameters' values. Elsewhere C#.</summary>
    public JupyterReply Complete(JupyterRequest request)
    {
        var code = request.Text("code");
        var cursor = Cursor(request, code);
        var lineStart = LineStart(code, cursor);
        var line = code[lineStart..cursor];
        CompletionList found;
        if (MagicLine.IsMagic(line) || line == "#")
        {
            var wordStart = line.Length;
            while (wordStart > 0 && !char.IsWhiteSpace(line[wordStart - 1])) wordStart--;
            var offers = line == "#" ? Magics.Select(magic => magic.Directive) : Offers(line[..wordStart], ref wordStart, line);
            var word = line[wordStart..];
            found = new(lineStart + wordStart, cursor, [.. offers.Where(offer => offer.StartsWith(word, StringComparison.Ordinal)).Distinct()
                .Select(offer => new CompletionItem(offer, offer.StartsWith('-') ? CompletionKind.Parameter : CompletionKind.Keyword, ""))]);
        }
        else
        {
            found = session.CSharp.Complete(code, cursor);
        }

        var (start, end) = (CodePoints(code, found.Start), CodePoints(code, found.End));
        return JupyterReply.Ok("complete_reply", new()
        {
            ["matches"] = new JsonArray([.. found.Items.Select(item => (JsonNode)item.Text)]),
            ["cursor_start"] = start,
            ["cursor_end"] = end,
            ["metadata"] = new JsonObject
            {
                ["_jupyter_types_experimental"] = new JsonArray([.. found.Items.Select(item => (JsonNode)new JsonObject
                {
                    ["start"] = start,
                    ["end"] = end,
                    ["text"] = item.Text,
                    ["type"] = TypeName(item.Kind),
                    ["signature"] = item.Signature,
                })]),
            },
        });
    }

    /// <summary>Explains the magic of the cursor's line, or the C# at the cursor.</summary>
    public JupyterReply Inspect(JupyterRequest request)
    {
        var code = request.Text("code");
        var data = Explain(code, Cursor(request, code), withMembers: request.Number("detail_level", 0) > 0);
        return JupyterReply.Ok("inspect_reply", new() { ["found"] = data.Count > 0, ["data"] = data, ["metadata"] = new JsonObject() });
    }

    /// <summary>What a cell wants to know that is one line with a question mark behind it, as IPython has it (<c>#!patch?</c>, <c>machine?</c>); null for any other cell.</summary>
    public static string? AskedAbout(string code)
        => code.Trim() is { Length: > 1 } line && line[^1] == '?' && !line.Contains('\n', StringComparison.Ordinal) ? line[..^1].TrimEnd() : null;

    /// <summary>An explanation in its forms; none when there is nothing to explain.</summary>
    public JsonObject Explain(string code, int cursor, bool withMembers)
    {
        var name = code[LineStart(code, cursor)..].Split('\n', 2)[0].Split((char[]?)null, 2, StringSplitOptions.RemoveEmptyEntries).FirstOrDefault("");
        var data = new JsonObject();
        if (MagicLine.IsMagic(name))
        {
            if (Magics.Find(name[Magic.Prefix.Length..]) is { } magic) data[MimeBundle.Plain] = Explain(magic);
        }
        else if (session.CSharp.Explain(code, cursor, withMembers) is { } explanation)
        {
            data[MimeBundle.Plain] = explanation.ToString();
            data[MimeBundle.Html] = explanation.ToHtml();
        }

        return data;
    }

    // The words for which JupyterLab has pictures.
    private static string TypeName(CompletionKind kind) => kind switch
    {
        CompletionKind.Type => "class",
        CompletionKind.Namespace => "module",
        CompletionKind.Method => "function",
        CompletionKind.Variable => "instance",
        _ => kind.ToString().ToLowerInvariant(),
    };

    private static int LineStart(string code, int cursor) => cursor == 0 ? 0 : code.LastIndexOf('\n', cursor - 1) + 1;

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
    /// <param name="wordStart">Where that word starts; in a list with commas, where its last item does.</param>
    /// <param name="line">The line up to the cursor.</param>
    private IEnumerable<string> Offers(string before, ref int wordStart, string line)
    {
        var words = before.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0) return Magics.Select(magic => magic.Directive);
        if (Magics.Find(words[0][Magic.Prefix.Length..]) is not { } magic) return [];
        var open = words[^1].StartsWith("--", StringComparison.Ordinal) ? magic.Parameter(words[^1][2..]) : null;
        if (open is { Flag: false })
        {
            if (!open.Many) return open.Values?.Invoke() ?? [];
            var given = line[wordStart..].Split(',')[..^1];
            wordStart = Math.Max(wordStart, line.LastIndexOf(',') + 1);
            return open.Values?.Invoke().Except(given) ?? [];
        }

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
