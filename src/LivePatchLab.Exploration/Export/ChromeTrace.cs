using System.Text.Encodings.Web;
using System.Text.Json;

namespace LivePatchLab.Exploration;

/// <summary>
/// A counterexample in Chrome's trace event format, the form that is a JSON array ("Trace Event Format", Google Docs 1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU):
/// the process is the scenario, a thread is a CPU or a site. A microsecond stands for one place in the order of the run.
/// </summary>
public static class ChromeTrace
{
    public const string FileExtension = ".json";
    private const int Process = 1;

    /// <summary>Writes the whole trace; the stream stays open.</summary>
    public static void Write(Counterexample example, Stream stream)
    {
        // What is written is a file of its own, no part of a page: < and > need no escaping there.
        using var json = new Utf8JsonWriter(stream, new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        json.WriteStartArray();
        Metadata(json, "process_name", 0, () => json.WriteString("name", example.Scenario));
        var tracks = TraceTracks.Of(example);
        foreach (var (thread, track) in tracks.Index())
        {
            Metadata(json, "thread_name", thread, () => json.WriteString("name", track.Name));
            Metadata(json, "thread_sort_index", thread, () => json.WriteNumber("sort_index", thread));
        }

        foreach (var (thread, slice) in tracks.Index().SelectMany(track => track.Item.Slices.Select(slice => (track.Index, slice))).OrderBy(each => each.slice.Start)) Slice(json, thread, slice);
        json.WriteEndArray();
    }

    private static void Metadata(Utf8JsonWriter json, string what, int thread, Action arguments)
    {
        json.WriteStartObject();
        json.WriteString("ph", "M");
        json.WriteString("name", what);
        json.WriteNumber("pid", Process);
        json.WriteNumber("tid", thread);
        json.WriteStartObject("args");
        arguments();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void Slice(Utf8JsonWriter json, int thread, TraceSlice slice)
    {
        var isInstant = slice.Start == slice.End;
        json.WriteStartObject();
        json.WriteString("ph", isInstant ? "i" : "X");
        json.WriteString("name", slice.Name);
        json.WriteString("cat", slice.Category);
        json.WriteNumber("pid", Process);
        json.WriteNumber("tid", thread);
        json.WriteNumber("ts", slice.Start * TraceTracks.PlaceNanoseconds / 1000);
        if (isInstant) json.WriteString("s", "t");
        else json.WriteNumber("dur", (slice.End - slice.Start) * TraceTracks.PlaceNanoseconds / 1000);
        json.WriteStartObject("args");
        foreach (var (name, text) in slice.Details) json.WriteString(name, text);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
