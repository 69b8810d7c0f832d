using LivePatchLab.Linux;

namespace LivePatchLab.Exploration;

/// <summary>Litmus files on disk.</summary>
public static class LitmusFile
{
    public const string Extension = ".litmus";

    /// <summary>Reads one.</summary>
    /// <exception cref="BadInputException">It cannot be read, or is not well formed; the message names the file, the line and the column.</exception>
    public static LitmusTest Open(string path)
        => File.Exists(path) ? Parse(path, InputFile.ReadText(path)) : throw new BadInputException($"there is no litmus test {path}");

    /// <summary>Reads a text.</summary>
    /// <param name="file">What to call it in messages.</param>
    /// <param name="text">The text.</param>
    public static LitmusTest Parse(string file, string text) => new LitmusReader(file, text).Read();

    /// <summary>The tests of files, and of folders with all that lies below them, in the order in which they were given; within a folder by name.</summary>
    /// <exception cref="BadInputException">One is not there, a folder holds none, or one is not well formed.</exception>
    public static IReadOnlyList<LitmusTest> OpenAll(IEnumerable<string> paths) => [.. paths.SelectMany(Find).Select(Open)];

    private static IEnumerable<string> Find(string path)
    {
        if (!Directory.Exists(path)) return [path];
        var files = Directory.GetFiles(path, "*" + Extension, SearchOption.AllDirectories);
        if (files.Length == 0) throw new BadInputException($"{path} holds no litmus test: their names end in {Extension}");
        Array.Sort(files, StringComparer.Ordinal);
        return files;
    }
}
