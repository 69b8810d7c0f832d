using System.Text;
using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

/// <summary>The vendored plotly.js, as it was fetched, and the files that pages are made of.</summary>
public static class PlotlyScript
{
    /// <summary>The bundle's bytes; <see cref="Sha256"/> is what they were when it was fetched.</summary>
    public static byte[] Bytes => Resource("plotly-cartesian.min.js");

    public static string Version => Note("version");

    public static string Sha256 => Note("sha256");

    internal static string Text(string name) => Encoding.UTF8.GetString(Resource(name));

    private static string Note(string key) => JsonNode.Parse(Text("plotly.json"))![key]!.GetValue<string>();

    private static byte[] Resource(string name)
    {
        using var stream = typeof(PlotlyScript).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"the resource {name} was not built into the library");
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
