using System.Text.Json.Nodes;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Frontends.Tests;

/// <summary>Notebooks written for a test.</summary>
internal static class LabNotebook
{
    public static NotebookDocument Of(params string[] cells) => new()
    {
        Metadata = new JsonObject { ["kernelspec"] = new JsonObject { ["name"] = "livepatch", ["display_name"] = "C# (LivePatchLab)", ["language"] = "C#" } },
        Cells = [.. cells.Select((source, i) => new NotebookCell(CellKind.Code, $"cell-{i + 1}", source))],
    };
}
