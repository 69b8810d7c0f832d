using System.Text;
using System.Text.Json.Nodes;
using LivePatchLab.Linux;

namespace LivePatchLab.Notebooks;

/// <summary>A Jupyter notebook (nbformat 4). Versions 4.0 to 4.5 are read; 4.5 is written, as Jupyter's own nbformat writes it.</summary>
public sealed class NotebookDocument
{
    public List<NotebookCell> Cells { get; init; } = [];

    public JsonObject Metadata { get; init; } = [];

    /// <exception cref="BadNotebookException">The file is missing, or no notebook.</exception>
    public static NotebookDocument Read(string path) => Read(path, out _);

    /// <param name="path">The file.</param>
    /// <param name="bytes">All of it, for who wants to change little of it.</param>
    internal static NotebookDocument Read(string path, out byte[] bytes)
    {
        try
        {
            if (!Path.Exists(path)) throw new BadNotebookException($"{path}: no such file");
            bytes = InputFile.ReadBytes(path, InputFile.TextBytesMax);
            // Strict decoding: a file in another encoding is refused here rather than written back with its letters lost.
            return Parse(new UTF8Encoding(false, true).GetString(WithoutByteOrderMark(bytes)), path);
        }
        catch (DecoderFallbackException broken)
        {
            throw new BadNotebookException($"{path}: not UTF-8 text, so not a notebook (byte {broken.Index})", broken);
        }
        catch (BadInputException unreadable)
        {
            throw new BadNotebookException(unreadable.Message, unreadable);
        }
    }

    /// <param name="text">The file's text.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="BadNotebookException">The text is no notebook.</exception>
    public static NotebookDocument Parse(string text, string name) => new NotebookReader(name).Read(text);

    /// <summary>The file's text: the same for the same content, so that running a notebook again leaves no difference.</summary>
    public string ToJson() => NotebookWriter.Write(this);

    /// <summary>Writes the whole file or nothing.</summary>
    public void Write(string path) => AtomicFile.Write(path, ToJson());

    internal static ReadOnlySpan<byte> WithoutByteOrderMark(byte[] bytes)
        => bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? bytes.AsSpan(Encoding.UTF8.Preamble.Length) : bytes;
}
