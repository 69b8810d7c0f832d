using System.Globalization;
using LivePatchLab.Experiments;
using LivePatchLab.Machine;
using static LivePatchLab.Notebooks.ViewBuilder;

namespace LivePatchLab.Notebooks;

/// <summary>A recording: as lanes along time, and as how long each CPU spent on what.</summary>
internal static class TimelineView
{
    private const int TextColumns = 72;
    private static readonly SpanKind[] Kinds = [SpanKind.Step, SpanKind.Write, SpanKind.Sync, SpanKind.Interrupt, SpanKind.Trap];

    public static HtmlFragment Of(PatchRecording recording)
    {
        var title = $"{recording.Run.Engine}: {Plural(recording.Run.Sites, "site")}, {Plural(recording.Run.Cpus, "CPU")}";
        var caption = "";
        var svg = new TimelineDrawing(recording).Draw(title, drawing =>
        {
            caption = Caption(recording, drawing);
            return $"Timeline. {title}. {caption}";
        });
        var table = ByCpu(recording);
        var view = new ViewBuilder();
        if (PatchRunView.Problem(recording.Run) is { } problem) view.Alarm(problem);
        return view.Part(FigureHtml.Of(svg, caption, table), $"Timeline. {title}\n{caption}\n\n{Lanes(recording)}\n\n{table}")
            .Footnote(PatchRunView.Footnote(recording.Run)).Build() with
        { Picture = new(svg, $"Timeline. {title}. {caption}") };
    }

    private static string Caption(PatchRecording recording, TimelineDrawing drawing)
    {
        var run = recording.Run;
        var parts = new List<string>
        {
            $"{Plural(run.SyncRounds, "sync")}, {Plural(run.Ipis, "IPI")}, {Plural(run.Int3Hits, "int3 hit")} in {Duration.Show(run.SimulatedSeconds)} simulated.",
            $"The strip below shows the bytes at {recording.SiteBytes.Site.Address}: {string.Join(", ", recording.SiteBytes.Versions.Select(version => SiteStrip.State(recording.SiteBytes, version)).Distinct())}.",
        };
        if (recording.StartCycles > 0 || recording.EndCycles < run.SimulatedCycles)
            parts.Add($"Only from {Duration.Show(run.Costs.SecondsOf(recording.StartCycles))} to {Duration.Show(run.Costs.SecondsOf(recording.EndCycles))}.");
        if (run.Cpus > TimelineDrawing.LanesMax) parts.Add($"CPUs {TimelineDrawing.LanesMax} to {run.Cpus - 1} are not drawn.");
        if (drawing.PhasesWithoutRoom.Count > 0) parts.Add($"The phases in turn: {string.Join(", ", drawing.PhasesWithoutRoom)}.");
        if (drawing.Merged > 0) parts.Add($"{Plural(drawing.Merged, "span")} too narrow to be seen alone {(drawing.Merged == 1 ? "is" : "are")} drawn with their neighbours; Between(from, to) shows a part larger.");
        if (drawing.ArrowsLeftOut > 0) parts.Add($"{Plural(drawing.ArrowsLeftOut, "IPI")} {(drawing.ArrowsLeftOut == 1 ? "has" : "have")} no arrow of their own.");
        if (recording.LeftOut > 0) parts.Add($"The recording was full: {Plural(recording.LeftOut, "later entry").Replace("entrys", "entries", StringComparison.Ordinal)} {(recording.LeftOut == 1 ? "is" : "are")} missing.");
        return string.Join(' ', parts);
    }

    private static DataTable ByCpu(PatchRecording recording)
    {
        var costs = recording.Run.Costs;
        var spans = recording.Spans.ToLookup(span => (span.Cpu.Index, span.Kind));
        return new(["CPU", "kernel code", "writes text", "sends and waits", "IPI handler", "int3 handler", "IPIs taken"],
        [
            .. Enumerable.Range(0, recording.Run.Cpus).Select(cpu => (string[])
            [
                cpu == 0 ? "0, the patcher" : cpu.ToString(CultureInfo.InvariantCulture),
                .. Kinds.Select(kind => spans[(cpu, kind)].Sum(span => span.Cycles) is > 0 and var cycles ? Duration.Show(costs.SecondsOf(cycles)) : ""),
                Count(recording.Ipis.Count(ipi => ipi.To.Index == cpu)),
            ]),
        ])
        { Numeric = [false, true, true, true, true, true, true] };
    }

    /// <summary>The lanes as letters: for terminals, and for all who read text.</summary>
    private static string Lanes(PatchRecording recording)
    {
        var lines = new List<string> { "W writes text, = sends IPIs and waits, s other kernel code, I IPI handler, ! int3 handler, . guest code" };
        for (var cpu = 0; cpu < Math.Min(recording.Run.Cpus, TimelineDrawing.LanesMax); cpu++)
        {
            var letters = new char[TextColumns];
            Array.Fill(letters, recording.Activities[cpu] == CpuActivity.Guest ? '.' : ' ');
            foreach (var span in recording.Spans.Where(span => span.Cpu.Index == cpu).OrderBy(span => Rank(span.Kind)))
            {
                var (from, to) = (Column(recording, span.StartCycles), Column(recording, span.EndCycles));
                Array.Fill(letters, Letter(span.Kind), from, Math.Max(1, to - from));
            }

            lines.Add(string.Create(CultureInfo.InvariantCulture, $"CPU {cpu,-3}|{new string(letters)}|"));
        }

        return string.Join('\n', lines);
    }

    private static int Column(PatchRecording recording, long cycles)
        => (int)Math.Clamp(TextColumns * (cycles - recording.StartCycles) / (recording.EndCycles - recording.StartCycles), 0, TextColumns - 1);

    // Rare things come last, upon the others, so that none is lost in a column.
    private static int Rank(SpanKind kind) => kind switch { SpanKind.Step => 0, SpanKind.Sync => 1, SpanKind.Write => 2, SpanKind.Interrupt => 3, _ => 4 };

    private static char Letter(SpanKind kind) => kind switch { SpanKind.Step => 's', SpanKind.Sync => '=', SpanKind.Write => 'W', SpanKind.Interrupt => 'I', _ => '!' };
}
