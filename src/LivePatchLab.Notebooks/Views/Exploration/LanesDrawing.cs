using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using LivePatchLab.Exploration;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Notebooks;

/// <summary>
/// A counterexample as lanes, one a CPU, with a box for each entry in the order of the run and the sites' bytes below; broken into lines as music is, so that every
/// box has room for its words. Kinds differ by a word, a hatching or a border as well as by colour, so that grey print tells them apart.
/// </summary>
internal sealed partial class LanesDrawing
{
    /// <summary>So many entries stand side by side at most.</summary>
    private const int LineEntriesMax = 9;

    private const int SitesMax = 4;
    private const double Left = 62;
    private const double Right = SvgCanvas.Width - 14;
    private const double SlotWidthMax = 130;
    private const double BoxHeight = 54;
    private const double LaneHeight = BoxHeight + 18;
    private const double StripHeight = 20;
    private const double LineGap = 26;
    private const double LetterWidth = 5.5;
    private const double BoldLetterWidth = 6.5;
    private const int TextLines = 3;

    private readonly InterleavingTable _table;
    private readonly SvgCanvas _svg = new();
    private readonly Dictionary<int, int> _placeOf = [];
    private readonly GuestAddress[] _sites;
    private readonly int _lines;
    private readonly int _lineEntries;
    private readonly double _slotWidth;

    public LanesDrawing(InterleavingTable table)
    {
        _table = table;
        _sites = [.. table.Sites.Take(SitesMax)];
        // No line is left with a single box when the others can spare some.
        _lines = (table.Rows.Count + LineEntriesMax - 1) / LineEntriesMax;
        _lineEntries = (table.Rows.Count + _lines - 1) / _lines;
        _slotWidth = Math.Min(SlotWidthMax, (Right - Left) / _lineEntries);
        foreach (var (place, row) in table.Rows.Index()) _placeOf.TryAdd(row.Entry.Ordinal, place);
    }

    /// <summary>Sites that have no strip.</summary>
    public int SitesLeftOut => _table.Sites.Count - _sites.Length;

    private double LineHeight => (_table.Cpus.Count * LaneHeight) + (_sites.Length * (StripHeight + 4)) + LineGap;

    public string Draw(string title, string label)
    {
        _svg.Title(title);
        var top = Legend(46) + 8;
        for (var line = 0; line < _lines; line++) Line(line, top + (line * LineHeight));
        foreach (var row in _table.Rows.Where(row => row.Entry.CausedBy is not null)) Arrow(row, top);
        return _svg.ToSvg(top + (_lines * LineHeight) - LineGap + 8, label);
    }

    private double XOf(int place) => Left + (place % _lineEntries * _slotWidth);

    private double LaneOf(CpuId cpu, double top) => top + (_table.Cpus.Index().First(each => each.Item == cpu).Index * LaneHeight);

    private double Legend(double y)
    {
        var x = Left;
        var entries = _table.Rows.Select(row => row.Entry).ToArray();
        Entry("kernel code", entries.Any(entry => entry.Kind == TraceKind.Step), at => Border(at, TraceKind.Step));
        Entry("writes text", _table.Rows.Any(row => row.Written.Count > 0), at => Box(at, y - 8, 16, 16, "fill=\"#D55E00\" fill-opacity=\"0.2\" stroke=\"#D55E00\""));
        Entry("guest code", entries.Any(entry => entry.Kind == TraceKind.Instruction), at => Border(at, TraceKind.Instruction));
        Entry("stale or torn", entries.Any(entry => entry.IsStale || entry.IsTorn), at => Box(at, y - 8, 16, 16, StaleStyle));
        Entry("int3", entries.Any(IsInt3) || _table.Example.SiteHistory.Any(IsInt3), at =>
        {
            Border(at, TraceKind.Instruction);
            Hatch(at, y - 8, 16, 16);
        });
        Entry("#BP", entries.Any(entry => entry.Kind == TraceKind.Trap), at => Border(at, TraceKind.Trap));
        Entry("interrupt", entries.Any(entry => entry.Kind is TraceKind.Interrupt or TraceKind.NonMaskableInterrupt), at => Border(at, TraceKind.Interrupt));
        Entry("brings it about", entries.Any(entry => entry.CausedBy is not null), at => Arrow(at, y - 7, at + 16, y + 6));
        return y + 16;

        void Border(double at, TraceKind kind) => Box(at, y - 8, 16, 16, StyleOf(kind));

        void Entry(string name, bool isThere, Action<double> sample)
        {
            if (!isThere) return;
            var width = 34 + (name.Length * SvgCanvas.CharacterWidth);
            if (x > Left && x + width > Right) (x, y) = (Left, y + 22);
            sample(x);
            _svg.Text(x + 22, y + 4, name);
            x += width;
        }
    }

    private void Line(int line, double top)
    {
        var first = line * _lineEntries;
        var count = Math.Min(_lineEntries, _table.Rows.Count - first);
        foreach (var cpu in _table.Cpus)
        {
            var middle = LaneOf(cpu, top) + 14 + (BoxHeight / 2);
            _svg.Text(Left - 8, middle + 4, cpu.ToString(), "text-anchor=\"end\" font-weight=\"600\"");
            // Boxes are not opaque, since the ground that they stand on is the page's; so the lane's line goes around them.
            for (var place = first; place < first + count; place++)
                if (_table.Rows[place].Entry.Cpu != cpu) _svg.Line(XOf(place), middle, XOf(place) + _slotWidth, middle, "stroke=\"currentColor\" stroke-opacity=\"0.25\"");
        }

        for (var place = first; place < first + count; place++) Entry(_table.Rows[place], XOf(place), LaneOf(_table.Rows[place].Entry.Cpu, top) + 14);
        foreach (var (i, site) in _sites.Index()) Strip(site, first, count, top + (_table.Cpus.Count * LaneHeight) + 4 + (i * (StripHeight + 4)));
    }

    private void Entry(InterleavingRow row, double x, double y)
    {
        var entry = row.Entry;
        var (left, width) = (x + 2, _slotWidth - 4);
        var isViolation = entry.Kind == TraceKind.Violation;
        var style = isViolation ? "fill=\"#cc2222\" fill-opacity=\"0.25\" stroke=\"#cc2222\" stroke-width=\"2.5\""
            : entry.IsTorn || entry.IsStale ? StaleStyle + (entry.IsTorn ? " stroke-width=\"2\" stroke-dasharray=\"5 3\"" : "")
            : row.Written.Count > 0 ? "fill=\"#D55E00\" fill-opacity=\"0.2\" stroke=\"#D55E00\""
            : StyleOf(entry.Kind);
        Box(left, y, width, BoxHeight, style);
        if (IsInt3(entry)) Hatch(left, y, width, BoxHeight);
        if (row.RoutineBegins is { } routine) _svg.Text(left, y - 4, Shorten(routine, (int)(_slotWidth / 5.1)), "font-size=\"9.5\" font-style=\"italic\" fill-opacity=\"0.85\"");
        _svg.Text(left + 4, y + 11, entry.Ordinal.ToString(CultureInfo.InvariantCulture), "font-size=\"9\" fill-opacity=\"0.8\"");
        if (entry.IsTorn || entry.IsStale) _svg.Text(left + width - 4, y + 11, entry.IsTorn ? "torn" : "stale", "font-size=\"10\" font-weight=\"700\" text-anchor=\"end\"");
        else if (entry.CausedBy is { } cause) _svg.Text(left + width - 4, y + 11, $"from {cause.ToString(CultureInfo.InvariantCulture)}", "font-size=\"9\" text-anchor=\"end\" fill-opacity=\"0.8\"");
        var text = isViolation ? $"{_table.Example.Violation.Invariant.Show()} violated" : WithSiteNames(entry.Text);
        foreach (var (i, words) in Lines(text, (int)((width - 8) / (isViolation ? BoldLetterWidth : LetterWidth))).Index())
            _svg.Text(left + 4, y + 24 + (i * 12), words, isViolation ? "font-size=\"10.5\" font-weight=\"700\"" : "font-size=\"10\"");
    }

    private void Strip(GuestAddress site, int first, int count, double y)
    {
        _svg.Text(Left - 8, y + 14, _table.Sites.Count > 1 ? $"site {_table.NameOf(site)}" : "site", "text-anchor=\"end\"");
        var versions = _table.Example.SiteHistory.Where(version => version.Site == site).ToArray();
        for (var i = 0; i < versions.Length; i++)
        {
            // A version begins in the middle of the entry that writes it.
            var from = Math.Max(first, BeginOf(versions[i]));
            var to = Math.Min(first + count, i + 1 < versions.Length ? BeginOf(versions[i + 1]) : double.MaxValue);
            if (to <= from) continue;
            var (x, width) = (Left + ((from - first) * _slotWidth), (to - from) * _slotWidth);
            Box(x, y, width, StripHeight, i == 0 ? "fill-opacity=\"0.06\" stroke=\"currentColor\" stroke-opacity=\"0.4\"" : "fill=\"#0072B2\" fill-opacity=\"0.18\" stroke=\"#0072B2\"");
            if (IsInt3(versions[i])) Hatch(x, y, width, StripHeight);
            var bytes = InstructionText.Hex([.. versions[i].Bytes]);
            if (bytes.Length * 6.4 > width - 6) bytes = bytes[..2] + " …";
            if (bytes.Length * 6.4 <= width - 6) _svg.Text(x + (width / 2), y + 14, bytes, "text-anchor=\"middle\" font-family=\"ui-monospace, monospace\" font-size=\"10.5\"");
        }
    }

    private double BeginOf(SiteVersion version) => version.Ordinal < 0 ? 0 : _placeOf.TryGetValue(version.Ordinal, out var place) ? place + 0.5 : 0;

    /// <summary>From who brought it about, where that stands in the same line; the box says its number in any case.</summary>
    private void Arrow(InterleavingRow row, double top)
    {
        if (!_placeOf.TryGetValue(row.Entry.CausedBy!.Value, out var from)) return;
        var to = _placeOf[row.Entry.Ordinal];
        if (from >= to || from / _lineEntries != to / _lineEntries) return;
        var line = top + (from / _lineEntries * LineHeight);
        var (y1, y2) = (LaneOf(_table.Rows[from].Entry.Cpu, line) + 14, LaneOf(row.Entry.Cpu, line) + 14);
        if (y1 < y2) Arrow(XOf(from) + (_slotWidth * 0.75), y1 + BoxHeight, XOf(to) + (_slotWidth * 0.9), y2);
        else if (y1 > y2) Arrow(XOf(from) + (_slotWidth * 0.75), y1, XOf(to) + (_slotWidth * 0.9), y2 + BoxHeight);
    }

    private void Arrow(double x1, double y1, double x2, double y2)
    {
        _svg.Line(x1, y1, x2, y2, "stroke=\"currentColor\" stroke-width=\"1.3\"");
        var length = Math.Max(1, Math.Sqrt(((x2 - x1) * (x2 - x1)) + ((y2 - y1) * (y2 - y1))));
        var (dx, dy) = ((x2 - x1) / length, (y2 - y1) / length);
        _svg.Append(string.Create(CultureInfo.InvariantCulture,
            $"<path d=\"M{x2:0.##},{y2:0.##}L{x2 - (7 * dx) + (3 * dy):0.##},{y2 - (7 * dy) - (3 * dx):0.##}L{x2 - (7 * dx) - (3 * dy):0.##},{y2 - (7 * dy) + (3 * dx):0.##}Z\"/>"));
    }

    private const string StaleStyle = "fill=\"#E69F00\" fill-opacity=\"0.42\" stroke=\"#E69F00\"";

    private static string StyleOf(TraceKind kind) => kind switch
    {
        TraceKind.Step => "fill=\"#009E73\" fill-opacity=\"0.14\" stroke=\"#009E73\"",
        TraceKind.Trap => "fill=\"#CC79A7\" fill-opacity=\"0.3\" stroke=\"#CC79A7\" stroke-width=\"2\"",
        TraceKind.Interrupt or TraceKind.NonMaskableInterrupt or TraceKind.Return => "fill=\"#0072B2\" fill-opacity=\"0.18\" stroke=\"#0072B2\"",
        TraceKind.Drain => "fill=\"#009E73\" fill-opacity=\"0.14\" stroke=\"#009E73\" stroke-dasharray=\"2 2\"",
        _ => "fill-opacity=\"0.05\" stroke=\"currentColor\" stroke-opacity=\"0.5\"",
    };

    private void Box(double x, double y, double width, double height, string attributes) => _svg.Rectangle(x, y, width, height, $"rx=\"2\" {attributes}");

    /// <summary>Diagonals, each cut off at the box's edges here: patterns and clip paths need ids, and are stripped by some.</summary>
    private void Hatch(double x, double y, double width, double height)
    {
        var path = new StringBuilder();
        for (var at = 6.0; at < width + height; at += 6)
        {
            var (x1, y1) = at <= width ? (at, 0.0) : (width, at - width);
            var (x2, y2) = at <= height ? (0.0, at) : (at - height, height);
            path.Append(CultureInfo.InvariantCulture, $"M{x + x1:0.#},{y + y1:0.#}L{x + x2:0.#},{y + y2:0.#}");
        }

        _svg.Append($"<path d=\"{path}\" fill=\"none\" stroke=\"currentColor\" stroke-opacity=\"0.28\"/>");
    }

    private static bool IsInt3(TraceEntry entry) => entry.Fetched is [BreakpointState.Int3, ..];

    private static bool IsInt3(SiteVersion version) => version.Bytes is [BreakpointState.Int3, ..];

    /// <summary>Addresses take most of a box; those of the sites are told by name, and of others the end.</summary>
    private string WithSiteNames(string text)
    {
        foreach (var site in _table.Sites)
        {
            var name = _table.Sites.Count > 1 ? _table.NameOf(site) : "site";
            var length = _table.Example.SiteHistory.First(version => version.Site == site).Bytes.Count;
            for (var offset = 0; offset < length; offset++) text = text.Replace((site + offset).ToString(), offset == 0 ? name : $"{name}+{offset}", StringComparison.Ordinal);
        }

        return LongAddress().Replace(text, "…$1");
    }

    private static IEnumerable<string> Lines(string text, int width)
    {
        var lines = WrappedColumns.Wrap(text, width).Select(line => line.Trim()).ToArray();
        return lines.Length <= TextLines ? lines : [.. lines[..(TextLines - 1)], Shorten(lines[TextLines - 1] + "…", width, always: true)];
    }

    private static string Shorten(string text, int width, bool always = false) => text.Length <= width && !always ? text : text[..Math.Min(text.Length - 1, width - 1)] + "…";

    [GeneratedRegex("(?:0x)?ffffffff([0-9a-f]{8})")]
    private static partial Regex LongAddress();
}
