using System.Globalization;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>A stretch on a track: a routine, an entry, or a version of a site's bytes. The innermost come last of those that begin together.</summary>
/// <param name="Name">What is shown on it.</param>
/// <param name="Category">"routine", the entry's kind, or "bytes".</param>
/// <param name="Start">In places of the order.</param>
/// <param name="End">In places of the order; equal to <paramref name="Start"/> for what has no extent.</param>
/// <param name="Details">What is told when it is picked.</param>
internal sealed record TraceSlice(string Name, string Category, int Start, int End, IReadOnlyList<(string Name, string Text)> Details);

/// <summary>One line of a trace viewer.</summary>
/// <param name="Name">"CPU0", or "site ffffffff81000000".</param>
/// <param name="Slices">In the order of their beginnings, nested properly.</param>
internal sealed record TraceTrack(string Name, IReadOnlyList<TraceSlice> Slices);

/// <summary>
/// A counterexample as tracks: one a CPU, with its routines and the entries in them, and one a site. Time is the place in the order of the run, not a CPU's clock:
/// an exploration takes its transitions in any order, so clocks of two CPUs say nothing about which was first.
/// </summary>
internal static class TraceTracks
{
    /// <summary>What one place in the order takes in a viewer. It stands for no time.</summary>
    public const int PlaceNanoseconds = 1000;

    public static IReadOnlyList<TraceTrack> Of(Counterexample example)
    {
        var table = new InterleavingTable(example);
        return
        [
            .. Enumerable.Range(0, example.Cpus).Select(cpu => new TraceTrack($"CPU{cpu.ToString(CultureInfo.InvariantCulture)}", Cpu([.. table.Rows.Where(row => row.Entry.Cpu.Index == cpu)]))),
            .. SiteBytesReport.Of(example).Select(report => new TraceTrack($"site {report.Site}", Site(report, table.Rows[^1].Entry.Ordinal))),
        ];
    }

    /// <summary>The place of an entry. What was there at the start has the first.</summary>
    private static int PlaceOf(int ordinal) => ordinal + 1;

    private static List<TraceSlice> Cpu(IReadOnlyList<InterleavingRow> rows)
    {
        var slices = new List<TraceSlice>();
        for (var i = 0; i < rows.Count; i++)
        {
            var entry = rows[i].Entry;
            if (rows[i].RoutineBegins is { } routine)
            {
                var last = i;
                while (last + 1 < rows.Count && rows[last + 1] is { RoutineBegins: null, Entry.Kind: not TraceKind.Violation }) last++;
                slices.Add(new(routine, "routine", PlaceOf(entry.Ordinal), PlaceOf(rows[last].Entry.Ordinal) + 1, []));
            }

            var start = PlaceOf(entry.Ordinal);
            slices.Add(new(rows[i].Text, entry.Kind.ToString(), start, entry.Kind == TraceKind.Violation ? start : start + 1, Details(entry)));
        }

        return slices;
    }

    private static List<(string Name, string Text)> Details(TraceEntry entry)
    {
        var details = new List<(string Name, string Text)>();
        if (entry.ClockCycles > 0) details.Add(("clock", string.Create(CultureInfo.InvariantCulture, $"{entry.ClockCycles} cycles")));
        if (entry.DurationCycles > 0) details.Add(("takes", string.Create(CultureInfo.InvariantCulture, $"{entry.DurationCycles} cycles")));
        if (entry.Rip != default) details.Add(("rip", entry.Rip.ToString()));
        if (entry.Fetched.Count > 0) details.Add(("fetched", InstructionText.Hex([.. entry.Fetched])));
        if (entry.IsTorn) details.Add(("fetch", "torn"));
        else if (entry.IsStale) details.Add(("fetch", "stale"));
        return details;
    }

    private static IReadOnlyList<TraceSlice> Site(SiteBytesReport report, int lastOrdinal) =>
    [
        .. report.Versions.Select((version, i) => new TraceSlice(
            InstructionText.Hex([.. version.Version.Bytes]), "bytes", PlaceOf(version.Version.Ordinal),
            i + 1 < report.Versions.Count ? PlaceOf(report.Versions[i + 1].Version.Ordinal) : PlaceOf(lastOrdinal) + 1,
            [("instruction", version.Instruction), ("written by", version.WrittenBy), ("given to", version.GivenTo)])),
    ];
}
