using LivePatchLab.Patching;

namespace LivePatchLab.Experiments;

/// <summary>What a CPU did at one moment of a trace.</summary>
public enum TraceCellKind
{
    /// <summary>A guest instruction elsewhere.</summary>
    Instruction,

    /// <summary>A guest instruction at the site, of the bytes that this CPU was given.</summary>
    SiteInstruction,

    /// <summary>A step of kernel code: of the patcher, the #BP handler, or the function of an IPI.</summary>
    Step,

    /// <summary>An exception.</summary>
    Trap,

    /// <summary>A function-call IPI taken.</summary>
    Ipi,
}

/// <summary>One thing that one CPU did.</summary>
/// <param name="Kind">What sort of thing.</param>
/// <param name="Text">In words.</param>
/// <param name="IsStale">For a site's instruction: it is not what memory holds now.</param>
/// <param name="IsTorn">For a site's instruction: it is neither the old one, nor the new one, nor INT3.</param>
/// <param name="Bytes">For a site's instruction: the bytes that this CPU was given.</param>
public sealed record TraceCell(TraceCellKind Kind, string Text, bool IsStale = false, bool IsTorn = false, string? Bytes = null);

/// <summary>What happened at one clock: at most one thing a CPU.</summary>
/// <param name="ClockCycles">The clock at which it began.</param>
/// <param name="Cells">One a CPU; null where it did nothing that shows.</param>
/// <param name="SiteBytes">What memory holds at the site afterwards.</param>
public sealed record TraceRow(long ClockCycles, IReadOnlyList<TraceCell?> Cells, string SiteBytes)
{
    /// <summary>True when there is nothing but guest instructions away from the site.</summary>
    public bool IsQuiet => Cells.All(c => c is null or { Kind: TraceCellKind.Instruction });
}

/// <summary>A patching operation step by step: what each CPU did, and the site's bytes after each step.</summary>
/// <param name="Run">What it did and cost.</param>
/// <param name="Site">The site that is followed.</param>
/// <param name="Rows">In the order in which things happened.</param>
/// <param name="RowsLeftOut">How many more there were.</param>
public sealed record PatchTrace(PatchRun Run, PatchSite Site, IReadOnlyList<TraceRow> Rows, int RowsLeftOut)
{
    /// <summary>Only the rows in which something other than guest instructions away from the site happens.</summary>
    public PatchTrace Brief() => this with { Rows = [.. Rows.Where(r => !r.IsQuiet)] };

    /// <summary>The last rows: what led to the end of the run.</summary>
    public PatchTrace Last(int rows) => this with { Rows = [.. Rows.TakeLast(rows)] };

    /// <summary>What memory held at the site, in order, without repetitions.</summary>
    public IReadOnlyList<string> SiteHistory
    {
        get
        {
            var history = new List<string> { Hex(Site.OldCode) };
            foreach (var row in Rows)
                if (row.SiteBytes != history[^1]) history.Add(row.SiteBytes);
            return history;
        }
    }

    /// <summary>The same with who wrote, and what each CPU executed meanwhile.</summary>
    public SiteBytes SiteBytes
    {
        get
        {
            var bytes = new SiteBytesBuilder(Site, Run.Costs, fetchesOfCleanCode: true);
            bytes.Store(Rows.Count > 0 ? Rows[0].ClockCycles : 0, null, Hex(Site.OldCode));
            foreach (var row in Rows)
            {
                // In a row that changes the site, the CPU that did a step is the one that stored.
                var writer = row.Cells.Index().FirstOrDefault(each => each.Item?.Kind == TraceCellKind.Step).Index;
                bytes.Store(row.ClockCycles, new(writer), row.SiteBytes);
                foreach (var (cpu, cell) in row.Cells.Index())
                    if (cell?.Bytes is { } fetched) bytes.Fetch(new(cpu), fetched);
            }

            return bytes.Build();
        }
    }

    public override string ToString() => $"{Run}; {Rows.Count} rows";

    internal static string Hex(ReadOnlySpan<byte> bytes)
    {
        var text = new System.Text.StringBuilder(bytes.Length * 3);
        foreach (var b in bytes)
        {
            if (text.Length > 0) text.Append(' ');
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"{b:x2}");
        }

        return text.ToString();
    }
}
