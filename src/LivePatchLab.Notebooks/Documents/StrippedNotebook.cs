using System.Text.Json;

namespace LivePatchLab.Notebooks;

/// <summary>
/// A notebook file without its outputs and execution counts. Only those are cut out of the file's text; all else stays as it is, to the byte: order, indent,
/// and whatever other programs keep in it.
/// </summary>
public sealed class StrippedNotebook
{
    private readonly string _path;
    private readonly byte[] _bytes;

    /// <summary>Reads a file and strips it in memory.</summary>
    /// <exception cref="BadNotebookException">The file is no notebook.</exception>
    public StrippedNotebook(string path)
    {
        _path = path;
        // Read as a notebook for its checks alone: whatever passes them has its cells where they are looked for here.
        NotebookDocument.Read(path, out var original);
        var json = NotebookDocument.WithoutByteOrderMark(original);
        using var stripped = new MemoryStream(original.Length);
        stripped.Write(original.AsSpan(0, original.Length - json.Length));
        var copied = 0;
        var inCells = false;
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = NotebookReader.DepthMax });
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName) continue;
            if (reader.CurrentDepth == 1) inCells = reader.ValueTextEquals("cells");
            else if (inCells && reader.CurrentDepth == 3 && Replacement(ref reader) is { } replacement)
            {
                stripped.Write(json[copied..(int)reader.TokenStartIndex]);
                stripped.Write(replacement);
                reader.Skip();
                copied = (int)reader.BytesConsumed;
            }
        }
        stripped.Write(json[copied..]);
        _bytes = stripped.ToArray();
    }

    /// <summary>How many outputs are cut out.</summary>
    public int Outputs { get; private set; }

    /// <summary>How many cells lose their execution count.</summary>
    public int ExecutionCounts { get; private set; }

    /// <summary>False when the file has nothing to be cut out.</summary>
    public bool IsChanged => Outputs + ExecutionCounts > 0;

    /// <summary>Puts it in the place of the file, in one step.</summary>
    public void Write() => AtomicFile.Write(_path, _bytes);

    /// <summary>Goes from a property's name on to its value; what shall stand there instead, or null.</summary>
    private byte[]? Replacement(ref Utf8JsonReader reader)
    {
        var isOutputs = reader.ValueTextEquals("outputs");
        if (!isOutputs && !reader.ValueTextEquals("execution_count")) return null;
        reader.Read();
        if (isOutputs && reader.TokenType == JsonTokenType.StartArray && Elements(reader) is > 0 and var outputs)
        {
            Outputs += outputs;
            return "[]"u8.ToArray();
        }
        if (isOutputs || reader.TokenType != JsonTokenType.Number) return null;
        ExecutionCounts++;
        return "null"u8.ToArray();
    }

    /// <summary>How many elements an array has; the reader is a copy.</summary>
    private static int Elements(Utf8JsonReader array)
    {
        var count = 0;
        while (array.Read() && array.TokenType != JsonTokenType.EndArray)
        {
            count++;
            array.Skip();
        }
        return count;
    }
}
