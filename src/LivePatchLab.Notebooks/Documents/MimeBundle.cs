using System.Collections;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

/// <summary>One output in all its forms: MIME type to content. JSON types hold JSON, all others hold text.</summary>
public sealed class MimeBundle : IReadOnlyCollection<KeyValuePair<string, JsonNode>>
{
    public const string Html = "text/html";
    public const string Plain = "text/plain";
    public const string Markdown = "text/markdown";
    public const string Svg = "image/svg+xml";
    public const string Png = "image/png";
    public const string Plotly = "application/vnd.plotly.v1+json";

    private readonly List<KeyValuePair<string, JsonNode>> _forms = [];

    public MimeBundle() { }

    public MimeBundle(string mimeType, string content) => Set(mimeType, content);

    public int Count => _forms.Count;

    /// <summary>What an image of this output can be drawn from; null where there is nothing to draw. No form, and not written into the notebook.</summary>
    public Picture? Picture { get; set; }

    /// <summary>The content as the notebook file holds it, or null when this output has no such form.</summary>
    public JsonNode? this[string mimeType] => _forms.FirstOrDefault(form => form.Key == mimeType).Value;

    public bool Has(string mimeType) => this[mimeType] is not null;

    /// <summary>The content as text: JSON types are written out.</summary>
    public string? Text(string mimeType) => this[mimeType] switch
    {
        null => null,
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
        var json => json.ToJsonString(),
    };

    public MimeBundle Set(string mimeType, string content)
        => Set(mimeType, IsJson(mimeType) ? JsonNode.Parse(content) ?? throw new JsonException($"{mimeType}: null is no content") : JsonValue.Create(content));

    public MimeBundle Set(string mimeType, JsonNode content)
    {
        _forms.RemoveAll(form => form.Key == mimeType);
        _forms.Add(new(mimeType, content));
        return this;
    }

    public static bool IsJson(string mimeType)
        => mimeType == "application/json" || (mimeType.StartsWith("application/", StringComparison.Ordinal) && mimeType.EndsWith("+json", StringComparison.Ordinal));

    public IEnumerator<KeyValuePair<string, JsonNode>> GetEnumerator() => _forms.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
