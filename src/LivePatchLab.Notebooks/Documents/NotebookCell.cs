using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

public enum CellKind { Code, Markdown, Raw }

/// <summary>One cell of a notebook.</summary>
public sealed class NotebookCell(CellKind kind, string id, string source)
{
    /// <summary>A cell with this tag may fail, and the notebook goes on: nbconvert's convention.</summary>
    public const string RaisesException = "raises-exception";

    public CellKind Kind { get; } = kind;

    /// <summary>Unique in its notebook; 1 to 64 characters of [A-Za-z0-9_-].</summary>
    public string Id { get; } = id;

    public string Source { get; set; } = source;

    public JsonObject Metadata { get; init; } = [];

    /// <summary>Images pasted into a Markdown cell; null when there are none.</summary>
    public JsonObject? Attachments { get; init; }

    public int? ExecutionCount { get; set; }

    public List<NotebookOutput> Outputs { get; init; } = [];

    public bool HasTag(string tag)
        => Metadata["tags"] is JsonArray tags && tags.Any(each => each is JsonValue value && value.TryGetValue<string>(out var text) && text == tag);
}
