using LivePatchLab.Exploration;
using LivePatchLab.Linux;

namespace LivePatchLab.Cli;

/// <summary>Where a counterexample is to be written for the viewers of traces; null for what nobody asked for.</summary>
/// <param name="Perfetto">For ui.perfetto.dev, as TrackEvent protobuf.</param>
/// <param name="Chrome">For chrome://tracing, as JSON.</param>
internal sealed record TraceFiles(string? Perfetto, string? Chrome)
{
    /// <summary>Writes the first counterexample, and says on stderr which that is.</summary>
    /// <exception cref="BadInputException">A file cannot be written.</exception>
    public void Write(IEnumerable<Counterexample?> found)
    {
        if (Perfetto is null && Chrome is null) return;
        if (found.FirstOrDefault(f => f is not null) is not { } first)
        {
            Console.Error.WriteLine("livepatch: nothing was violated, so no trace was written");
            return;
        }

        try
        {
            if (Perfetto is not null) first.SavePerfetto(Perfetto);
            if (Chrome is not null) first.SaveChromeTrace(Chrome);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"the trace cannot be written: {e.Message}");
        }

        Console.Error.WriteLine($"livepatch: {first.Scenario} under {first.Model.Name} -> {string.Join(", ", new[] { Perfetto, Chrome }.Where(f => f is not null))}");
    }
}
