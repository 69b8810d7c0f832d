using LivePatchLab.Linux;

namespace LivePatchLab.Exploration;

/// <summary>Counterexamples as files for trace viewers.</summary>
public static class CounterexampleFiles
{
    /// <summary>Writes a file that ui.perfetto.dev opens.</summary>
    /// <returns>The full path.</returns>
    /// <exception cref="BadInputException">It cannot be written there.</exception>
    public static string SavePerfetto(this Counterexample example, string path) => Save(path, stream => PerfettoTrace.Write(example, stream));

    /// <summary>Writes a file in Chrome's JSON, which Perfetto and other viewers open too.</summary>
    /// <returns>The full path.</returns>
    /// <exception cref="BadInputException">It cannot be written there.</exception>
    public static string SaveChromeTrace(this Counterexample example, string path) => Save(path, stream => ChromeTrace.Write(example, stream));

    private static string Save(string path, Action<Stream> write)
    {
        try
        {
            using var file = File.Create(path);
            write(file);
            return file.Name;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new BadInputException($"{path}: the trace cannot be written: {e.Message.ReplaceLineEndings(" ")}");
        }
    }
}
