using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

/// <summary>What a code cell has put out: one of the four kinds that nbformat knows.</summary>
public abstract record NotebookOutput;

/// <summary>Text of stdout or stderr.</summary>
public sealed record StreamOutput(string Name, string Text) : NotebookOutput
{
    public const string Stdout = "stdout";
    public const string Stderr = "stderr";
}

/// <summary>Something displayed while the cell ran (`display_data`).</summary>
public sealed record DisplayOutput(MimeBundle Data) : NotebookOutput
{
    public JsonObject Metadata { get; init; } = [];
}

/// <summary>The value of the cell's last expression (`execute_result`).</summary>
public sealed record ResultOutput(int? ExecutionCount, MimeBundle Data) : NotebookOutput
{
    public JsonObject Metadata { get; init; } = [];
}

/// <summary>The end of a cell that failed. The traceback is the text a reader sees, one line an entry.</summary>
public sealed record ErrorOutput(string Name, string Value, IReadOnlyList<string> Traceback) : NotebookOutput;
