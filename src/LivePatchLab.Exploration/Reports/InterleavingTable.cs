using System.Globalization;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>One row of an interleaving: one CPU did one thing.</summary>
/// <param name="Entry">What the trace has of it.</param>
/// <param name="Text">In words, with the bytes that were fetched, and with "stale" or "torn" where they were.</param>
/// <param name="RoutineBegins">The routine, where the CPU did something else before; null where it goes on with the same.</param>
/// <param name="Written">What it made of the sites' bytes.</param>
public sealed record InterleavingRow(TraceEntry Entry, string Text, string? RoutineBegins, IReadOnlyList<SiteVersion> Written)
{
    /// <summary>The text, with a firm space wherever no line may be broken.</summary>
    internal string Unbroken { get; init; } = Text;
}

/// <summary>
/// A counterexample as the kernel's lists and comments draw races: a column a CPU, time downwards, the site's bytes at the right when they change, and what was
/// violated at the end. Its text is at most <see cref="WidthMax"/> characters wide.
/// </summary>
public sealed class InterleavingTable
{
    public const int WidthMax = 100;

    /// <summary>What stands for the routine where there is none.</summary>
    public const string GuestCode = "guest code";

    /// <summary>In columns that are narrower than this nothing can be read; then the CPUs share one.</summary>
    private const int ColumnMin = 17;
    private const int SiteColumnMax = 23;

    public InterleavingTable(Counterexample example)
    {
        Example = example;
        Sites = [.. example.SiteHistory.Select(version => version.Site).Distinct().Order()];
        // A fetch that no single version can have given is torn, whether or not whoever wrote the trace had looked at that.
        var torn = SiteBytesReport.Of(example).SelectMany(report => report.Versions).SelectMany(version => version.Fetches).Where(fetch => !fetch.IsWhole).Select(fetch => fetch.Entry.Ordinal).ToHashSet();
        var entries = EntriesOf(example).Select(entry => entry.Kind != TraceKind.Violation && torn.Contains(entry.Ordinal) ? entry with { IsTorn = true } : entry).ToArray();
        Cpus = [.. entries.Select(entry => entry.Cpu).Concat(Enumerable.Range(0, Math.Min(2, example.Cpus)).Select(cpu => new CpuId(cpu))).Distinct().Order()];
        var written = example.SiteHistory.ToLookup(version => version.Ordinal);
        var routines = new Dictionary<CpuId, string>();
        var rows = new List<InterleavingRow>();
        foreach (var entry in entries)
        {
            // An interrupt or a drained store without a routine's name comes in between, and ends nothing.
            var routine = entry.Routine ?? (entry.Kind == TraceKind.Instruction ? GuestCode : null);
            var begins = entry.Kind != TraceKind.Violation && routine is not null && routines.GetValueOrDefault(entry.Cpu) != routine;
            if (begins) routines[entry.Cpu] = routine!;
            var text = Say(entry);
            rows.Add(new(entry, text.Replace(WrappedColumns.FirmSpace, ' '), begins ? routine : null, entry.Kind == TraceKind.Violation ? [] : [.. written[entry.Ordinal]]) { Unbroken = text });
        }

        Rows = rows;
    }

    public Counterexample Example { get; }

    /// <summary>The CPUs that have a column: those that do something, and the first two.</summary>
    public IReadOnlyList<CpuId> Cpus { get; }

    /// <summary>The sites, by address.</summary>
    public IReadOnlyList<GuestAddress> Sites { get; }

    public IReadOnlyList<InterleavingRow> Rows { get; }

    /// <summary>What the sites hold before the first row.</summary>
    public IEnumerable<SiteVersion> AtStart => Example.SiteHistory.Where(version => version.Ordinal < 0);

    /// <summary>A site's letter, where there are several; else nothing.</summary>
    public string NameOf(GuestAddress site) => Sites.Count < 2 ? "" : ((char)('A' + (Sites.Index().First(each => each.Item == site).Index % 26))).ToString();

    /// <summary>A version as the column of bytes has it.</summary>
    public string Show(SiteVersion version) => $"{NameOf(version.Site)} {InstructionText.Hex([.. version.Bytes])}".TrimStart();

    /// <summary>The trace, with the violation as its last entry, whether the trace itself has it or not.</summary>
    public static IReadOnlyList<TraceEntry> EntriesOf(Counterexample example)
    {
        if (example.Entries.Any(entry => entry.Kind == TraceKind.Violation)) return example.Entries;
        var violation = example.Violation;
        var ordinal = example.Entries.Count == 0 ? 0 : example.Entries[^1].Ordinal + 1;
        return [.. example.Entries, new(ordinal, violation.Cpu, violation.ClockCycles, 0, TraceKind.Violation, null, violation.Detail) { Rip = violation.Address }];
    }

    public override string ToString()
    {
        var numbers = Rows.Select(row => Number(row).Length).Append(1).Max();
        var bytes = Math.Min(SiteColumnMax, Example.SiteHistory.Select(version => Show(version).Length).Append(Sites.Count > 0 ? 5 : 0).Max());
        var room = WidthMax - numbers - bytes - (WrappedColumns.Gap * (Sites.Count > 0 ? 2 : 1));
        var isShared = (room - (WrappedColumns.Gap * (Cpus.Count - 1))) / Cpus.Count < ColumnMin;
        var columns = isShared ? 1 : Cpus.Count;
        var needs = Enumerable.Range(0, columns).Select(column => Rows
            .Where(row => isShared || row.Entry.Cpu == Cpus[column]).SelectMany(row => new[] { Cell(row, isShared).Length, Heading(row, isShared)?.Length ?? 0 }).Append(8).Max());
        var widths = WrappedColumns.Share(room - (WrappedColumns.Gap * (columns - 1)), [.. needs]);

        var grid = new WrappedColumns([numbers, .. widths, .. Sites.Count > 0 ? [bytes] : Array.Empty<int>()]);
        grid.Add(["#".PadLeft(numbers), .. isShared ? ["CPUs"] : Cpus.Select(cpu => cpu.ToString()), .. Sites.Count > 0 ? [Sites.Count > 1 ? "sites" : "site"] : Array.Empty<string>()]).Rule();
        foreach (var version in AtStart) grid.Add(["", .. Blank(columns), Firm(Show(version))]);
        foreach (var row in Rows)
        {
            var column = isShared ? 0 : Cpus.Index().First(cpu => cpu.Item == row.Entry.Cpu).Index;
            if (Heading(row, isShared) is { } heading) grid.Add(["", .. Blank(column), heading]);
            string[] cells = [Number(row).PadLeft(numbers), .. Blank(column), Cell(row, isShared), .. Blank(columns - column - 1)];
            grid.Add(Sites.Count > 0 ? [.. cells, row.Written.Count > 0 ? Firm(Show(row.Written[0])) : ""] : cells);
            foreach (var version in row.Written.Skip(1)) grid.Add(["", .. Blank(columns), Firm(Show(version))]);
        }

        var text = grid.ToString();
        return Sites.Count < 2 ? text : $"{text}\n\n{string.Join('\n', Sites.Select(site => $"{NameOf(site)} = {site}"))}";
    }

    private static IEnumerable<string> Blank(int count) => Enumerable.Repeat("", count);

    private static string Number(InterleavingRow row) => row.Entry.Ordinal.ToString(CultureInfo.InvariantCulture);

    private static string? Heading(InterleavingRow row, bool isShared)
        => row.RoutineBegins is null ? null : isShared ? $"{row.Entry.Cpu}, {row.RoutineBegins}:" : row.RoutineBegins + ":";

    private static string Cell(InterleavingRow row, bool isShared)
        => (isShared ? $"  {row.Entry.Cpu}: " : "  ") + row.Unbroken;

    private static string Firm(string text) => text.Replace(' ', WrappedColumns.FirmSpace);

    private string Say(TraceEntry entry)
    {
        if (entry.Kind == TraceKind.Violation) return $"{Example.Violation.Invariant.Show()} VIOLATED: {Example.Violation.Detail}";
        var isOfSite = entry.Fetched.Count > 0 && (entry.IsStale || entry.IsTorn || Example.SiteHistory.Any(version => entry.Rip >= version.Site && entry.Rip < version.Site + version.Bytes.Count));
        return entry.Text
            + (isOfSite ? $" [{Firm(InstructionText.Hex([.. entry.Fetched]))}]" : "")
            + (entry.IsTorn ? $" <-{WrappedColumns.FirmSpace}torn" : entry.IsStale ? $" <-{WrappedColumns.FirmSpace}stale" : "");
    }
}
