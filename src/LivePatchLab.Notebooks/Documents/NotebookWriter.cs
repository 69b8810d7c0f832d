using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

/// <summary>
/// Writes nbformat 4.5 in the very form of Jupyter's own writer: keys sorted, one space of indent, long texts as lists of lines, a newline at the
/// end. A notebook that Jupyter saved therefore comes back unchanged, and version control shows only what a run changed.
/// </summary>
internal static class NotebookWriter
{
    public static string Write(NotebookDocument document)
    {
        var text = new StringBuilder();
        Append(text, new JsonObject
        {
            ["cells"] = new JsonArray([.. document.Cells.Select(Cell)]),
            ["metadata"] = document.Metadata.DeepClone(),
            ["nbformat"] = 4,
            ["nbformat_minor"] = 5,
        }, depth: 0);
        return text.Append('\n').ToString();
    }

    private static JsonNode Cell(NotebookCell cell)
    {
        var node = new JsonObject
        {
            ["cell_type"] = cell.Kind.ToString().ToLowerInvariant(),
            ["id"] = cell.Id,
            ["metadata"] = cell.Metadata.DeepClone(),
            ["source"] = Lines(cell.Source),
        };
        if (cell.Attachments is not null)
            node["attachments"] = cell.Attachments.DeepClone();
        if (cell.Kind == CellKind.Code)
        {
            node["execution_count"] = cell.ExecutionCount;
            node["outputs"] = new JsonArray([.. cell.Outputs.Select(Output)]);
        }
        return node;
    }

    private static JsonNode Output(NotebookOutput output) => output switch
    {
        StreamOutput stream => new JsonObject { ["output_type"] = "stream", ["name"] = stream.Name, ["text"] = Lines(stream.Text) },
        DisplayOutput display => new JsonObject
        {
            ["output_type"] = "display_data",
            ["data"] = Bundle(display.Data),
            ["metadata"] = display.Metadata.DeepClone(),
        },
        ResultOutput result => new JsonObject
        {
            ["output_type"] = "execute_result",
            ["execution_count"] = result.ExecutionCount,
            ["data"] = Bundle(result.Data),
            ["metadata"] = result.Metadata.DeepClone(),
        },
        ErrorOutput error => new JsonObject
        {
            ["output_type"] = "error",
            ["ename"] = error.Name,
            ["evalue"] = error.Value,
            ["traceback"] = new JsonArray([.. error.Traceback.Select(line => (JsonNode)line)]),
        },
        _ => throw new ArgumentException($"{output.GetType().Name} is no output that nbformat knows", nameof(output)),
    };

    private static JsonObject Bundle(MimeBundle bundle)
    {
        var data = new JsonObject();
        foreach (var (mimeType, content) in bundle)
            data[mimeType] = MimeBundle.IsJson(mimeType) ? content.DeepClone() : Lines(bundle.Text(mimeType)!);
        return data;
    }

    private static JsonArray Lines(string text)
    {
        var lines = new JsonArray();
        for (var start = 0; start < text.Length;)
        {
            var end = text.IndexOf('\n', start);
            end = end < 0 ? text.Length : end + 1;
            lines.Add((JsonNode)text[start..end]);
            start = end;
        }
        return lines;
    }

    private static void Append(StringBuilder text, JsonNode? node, int depth)
    {
        switch (node)
        {
            case null:
                text.Append("null");
                break;
            case JsonObject { Count: 0 }:
                text.Append("{}");
                break;
            case JsonArray { Count: 0 }:
                text.Append("[]");
                break;
            case JsonObject map:
                var opening = '{';
                foreach (var (key, value) in map.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                {
                    text.Append(opening).Append('\n').Append(' ', depth + 1);
                    AppendString(text, key);
                    text.Append(": ");
                    Append(text, value, depth + 1);
                    opening = ',';
                }
                text.Append('\n').Append(' ', depth).Append('}');
                break;
            case JsonArray list:
                opening = '[';
                foreach (var item in list)
                {
                    text.Append(opening).Append('\n').Append(' ', depth + 1);
                    Append(text, item, depth + 1);
                    opening = ',';
                }
                text.Append('\n').Append(' ', depth).Append(']');
                break;
            case JsonValue value when value.TryGetValue<string>(out var content):
                AppendString(text, content);
                break;
            default:
                text.Append(node.ToJsonString());
                break;
        }
    }

    /// <summary>As Python writes with ensure_ascii off: only what JSON demands is escaped; a lone surrogate too, since UTF-8 has no form for it.</summary>
    private static void AppendString(StringBuilder text, string value)
    {
        text.Append('"');
        for (var i = 0; i < value.Length; i++)
        {
            var c = value[i];
            if (char.IsHighSurrogate(c) && i + 1 < value.Length && char.IsLowSurrogate(value[i + 1]))
            {
                text.Append(c).Append(value[++i]);
                continue;
            }
            _ = c switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                _ when c < ' ' || char.IsSurrogate(c) => text.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)),
                _ => text.Append(c),
            };
        }
        text.Append('"');
    }
}
