using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

/// <summary>Reads nbformat 4.0 to 4.5. Whatever is wrong ends in one line that names the file and the place.</summary>
internal sealed class NotebookReader(string name)
{
    public const int DepthMax = 256;

    public NotebookDocument Read(string text)
    {
        try
        {
            return Document(text);
        }
        catch (InvalidOperationException broken)
        {
            // System.Text.Json finds a lone surrogate escape only when the string is asked for.
            throw Bad("", $"a text in it is no valid Unicode: {broken.Message}", broken);
        }
    }

    private NotebookDocument Document(string text)
    {
        var root = Parse(text) as JsonObject ?? throw Bad("", "not a notebook: the outermost value is no JSON object");
        var major = Number(root, "", "nbformat");
        if (major != 4)
            throw Bad("", $"nbformat {major} is not read here, only 4: open and save it in Jupyter to convert it");
        var minor = root["nbformat_minor"] is null ? 0 : Number(root, "", "nbformat_minor");
        if (minor is < 0 or > 5)
            throw Bad("", $"nbformat 4.{minor} is not known here, only 4.0 to 4.5");
        var cells = root["cells"] as JsonArray ?? throw Bad("", "not a notebook: it has no list \"cells\"");
        var document = new NotebookDocument { Metadata = Map(root, "", "metadata") };
        var ids = new CellIds(cells.Select(cell => (cell as JsonObject)?["id"]));
        for (var i = 0; i < cells.Count; i++)
            document.Cells.Add(Cell(cells[i], $"cell {i + 1}", ids.At(i)));
        return document;
    }

    private JsonNode? Parse(string text)
    {
        try
        {
            // Python keeps the last of two equal keys; we refuse both, because one of them would be lost in silence.
            return JsonNode.Parse(text, documentOptions: new() { MaxDepth = DepthMax, AllowDuplicateProperties = false });
        }
        catch (JsonException broken)
        {
            var line = (broken.LineNumber ?? 0) + 1;
            if (text.Split('\n').ElementAtOrDefault((int)line - 1)?.TrimStart() is { } at && at.StartsWith("<<<<<<<", StringComparison.Ordinal))
                throw Bad($"line {line}", "a git merge conflict is left in the file");
            var reason = text.Trim().Length == 0 ? "the file is empty" : broken.Message.Split(" LineNumber:")[0].Split(" Path:")[0].TrimEnd('.', ' ');
            throw Bad($"line {line}", $"not JSON, so not a notebook: {reason}", broken);
        }
    }

    private NotebookCell Cell(JsonNode? node, string place, string id)
    {
        var cell = node as JsonObject ?? throw Bad(place, "a cell must be a JSON object");
        var kind = Text(cell, place, "cell_type") switch
        {
            "code" => CellKind.Code,
            "markdown" => CellKind.Markdown,
            "raw" => CellKind.Raw,
            var other => throw Bad(place, $"cell_type \"{other}\" is not known; code, markdown and raw are"),
        };
        var read = new NotebookCell(kind, id, Lines(cell, place, "source"))
        {
            Metadata = Map(cell, place, "metadata"),
            Attachments = cell["attachments"] is null ? null : Map(cell, place, "attachments"),
        };
        if (kind != CellKind.Code)
            return read;
        read.ExecutionCount = Count(cell, place);
        var outputs = cell["outputs"] switch
        {
            null => [],
            JsonArray list => list,
            _ => throw Bad(place, "\"outputs\" must be a list"),
        };
        for (var i = 0; i < outputs.Count; i++)
            read.Outputs.Add(Output(outputs[i], $"{place}, output {i + 1}"));
        return read;
    }

    private NotebookOutput Output(JsonNode? node, string place)
    {
        var output = node as JsonObject ?? throw Bad(place, "an output must be a JSON object");
        return Text(output, place, "output_type") switch
        {
            "stream" => new StreamOutput(Text(output, place, "name"), Lines(output, place, "text")),
            "display_data" => new DisplayOutput(Bundle(output, place)) { Metadata = Map(output, place, "metadata") },
            "execute_result" => new ResultOutput(Count(output, place), Bundle(output, place)) { Metadata = Map(output, place, "metadata") },
            "error" => new ErrorOutput(Text(output, place, "ename"), Text(output, place, "evalue"), Traceback(output, place)),
            var other => throw Bad(place, $"output_type \"{other}\" is not known; stream, display_data, execute_result and error are"),
        };
    }

    private MimeBundle Bundle(JsonObject output, string place)
    {
        var bundle = new MimeBundle();
        foreach (var (mimeType, content) in Map(output, place, "data"))
        {
            if (MimeBundle.IsJson(mimeType))
                bundle.Set(mimeType, content?.DeepClone() ?? throw Bad(place, $"{mimeType} must not be null"));
            else
                bundle.Set(mimeType, (JsonNode)JsonValue.Create(Joined(content) ?? throw Bad(place, $"{mimeType} must be a string or a list of strings")));
        }
        return bundle;
    }

    private string[] Traceback(JsonObject output, string place)
        => output["traceback"] is JsonArray lines && lines.All(IsString)
            ? [.. lines.Select(line => line!.GetValue<string>())]
            : throw Bad(place, "\"traceback\" must be a list of strings");

    private string Lines(JsonObject from, string place, string key)
        => Joined(from[key]) ?? throw Bad(place, $"\"{key}\" must be a string or a list of strings");

    private static string? Joined(JsonNode? node)
    {
        if (IsString(node))
            return node!.GetValue<string>();
        return node is JsonArray lines && lines.All(IsString)
            ? lines.Aggregate(new StringBuilder(), (text, line) => text.Append(line!.GetValue<string>())).ToString()
            : null;
    }

    private string Text(JsonObject from, string place, string key)
        => IsString(from[key]) ? from[key]!.GetValue<string>() : throw Bad(place, $"\"{key}\" must be a string");

    private JsonObject Map(JsonObject from, string place, string key) => from[key] switch
    {
        // Metadata is demanded by the schema, but files made by hand often leave it out, and nothing is lost by reading them.
        null => [],
        JsonObject map => (JsonObject)map.DeepClone(),
        _ => throw Bad(place, $"\"{key}\" must be a JSON object"),
    };

    private int? Count(JsonObject from, string place) => from["execution_count"] is null ? null : Number(from, place, "execution_count");

    private int Number(JsonObject from, string place, string key)
        => from[key] is JsonValue value && value.TryGetValue<int>(out var number) ? number : throw Bad(place, $"\"{key}\" must be a whole number");

    private static bool IsString(JsonNode? node) => node is JsonValue value && value.GetValueKind() == JsonValueKind.String;

    private BadNotebookException Bad(string place, string problem, Exception? inner = null)
        => new(place.Length == 0 ? $"{name}: {problem}" : $"{name}, {place}: {problem}", inner);
}
