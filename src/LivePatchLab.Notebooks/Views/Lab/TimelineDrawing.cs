using System.Globalization;
using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>
/// A recording as lanes, one a CPU: phases above, the site's bytes below, an arrow for each IPI. Kinds differ by height and outline as well as by colour, so that
/// grey print tells them apart. What is too narrow to be seen alone is drawn together with its neighbours, and counted.
/// </summary>
internal sealed class TimelineDrawing
{
    /// <summary>Beyond this many lanes nothing can be read any more.</summary>
    public const int LanesMax = 32;

    private const double Left = 62;
    private const double Right = SvgCanvas.Width - 18;
    private const double NarrowPixels = 1.5;
    private const int ArrowsMax = 120;
    private const int BoxesMax = 1500;

    private static readonly (SpanKind Kind, string Name)[] Kinds =
    [
        (SpanKind.Step, "kernel code"), (SpanKind.Write, "writes text"), (SpanKind.Sync, "sends IPIs, waits for all"), (SpanKind.Interrupt, "IPI handler"), (SpanKind.Trap, "int3 handler"),
    ];

    private readonly PatchRecording _recording;
    private readonly SvgCanvas _svg = new();
    private readonly int _lanes;
    private readonly double _laneHeight;
    private readonly (int Cpu, SpanKind Kind, double From, double To)[] _boxes;
    private double _top;

    public TimelineDrawing(PatchRecording recording)
    {
        _recording = recording;
        _lanes = Math.Min(recording.Run.Cpus, LanesMax);
        _laneHeight = Math.Clamp(280.0 / _lanes, 15, 44);
        var narrow = NarrowPixels;
        do
        {
            _boxes = [.. Enumerable.Range(0, _lanes).SelectMany(cpu => Boxes(cpu, narrow))];
            narrow *= 2;
        }
        while (_boxes.Length > BoxesMax && narrow < Right);
        Merged = recording.Spans.Count(span => span.Cpu.Index < _lanes) - _boxes.Length;
    }

    /// <summary>Spans that were drawn as part of another.</summary>
    public int Merged { get; }

    /// <summary>The phases, where none of them has room for its name.</summary>
    public IReadOnlyList<string> PhasesWithoutRoom { get; private set; } = [];

    /// <summary>IPIs that have no arrow of their own.</summary>
    public int ArrowsLeftOut { get; private set; }

    public string Draw(string title, Func<TimelineDrawing, string> label)
    {
        _svg.Title(title);
        _top = Legend(44);
        Phases();
        var bottom = _top + (_lanes * _laneHeight);
        for (var cpu = 0; cpu < _lanes; cpu++) Lane(cpu);
        Arrows();
        _svg.Text(Left - 8, bottom + 24, "site", "text-anchor=\"end\"");
        SiteStrip.Draw(_svg, _recording.SiteBytes, AtX, (_recording.StartCycles, _recording.EndCycles), bottom + 9, 22);
        Axis(bottom + 38);
        return _svg.ToSvg(bottom + 84, label(this));
    }

    private double AtX(long cycles)
        => Left + ((Right - Left) * Math.Clamp((double)(cycles - _recording.StartCycles) / (_recording.EndCycles - _recording.StartCycles), 0, 1));

    private double LaneTop(int cpu) => _top + (cpu * _laneHeight);

    private double Legend(double y)
    {
        var x = Left;
        if (_recording.Activities.Contains(CpuActivity.Guest)) Entry("guest code", at => _svg.Rectangle(at, y - 2, 16, 4, "fill-opacity=\"0.35\""));
        foreach (var (kind, name) in Kinds.Where(each => _recording.Spans.Any(span => span.Kind == each.Kind))) Entry(name, at => Box(kind, at, 16, y - 8, 16));
        if (_recording.Ipis.Count > 0) Entry("IPI", at => Arrow(at, y - 7, at + 16, y + 6));
        return y + 20;

        void Entry(string name, Action<double> sample)
        {
            var width = 34 + (name.Length * SvgCanvas.CharacterWidth);
            if (x > Left && x + width > Right) (x, y) = (Left, y + 20);
            sample(x);
            _svg.Text(x + 22, y + 4, name);
            x += width;
        }
    }

    private void Phases()
    {
        var drawn = Widest(_recording.Phases.Select(phase => (phase, AtX(phase.StartCycles), AtX(phase.EndCycles))), NarrowPixels);
        if (drawn.Count == 0) return;
        _svg.Text(Left - 8, _top + 13, "phase", "text-anchor=\"end\"");
        var named = 0;
        foreach (var (i, (phase, from, to, count)) in drawn.Index())
        {
            _svg.Rectangle(from, _top, Math.Max(to - from, 0.5), 18, $"fill-opacity=\"{(i % 2 == 0 ? "0.16" : "0.07")}\"");
            _svg.Line(from, _top, from, _top + 18 + 6 + (_lanes * _laneHeight), "stroke=\"currentColor\" stroke-opacity=\"0.25\" stroke-dasharray=\"2 3\"");
            var name = count == 1 ? phase.Name : "many, in turn";
            if (name.Length * SvgCanvas.CharacterWidth > to - from) continue;
            _svg.Text((from + to) / 2, _top + 13, name, "text-anchor=\"middle\"");
            named++;
        }

        if (named == 0) PhasesWithoutRoom = [.. _recording.Phases.Select(phase => phase.Name).Distinct()];

        _top += 24;
    }

    private void Lane(int cpu)
    {
        var (top, middle) = (LaneTop(cpu), LaneTop(cpu) + (_laneHeight / 2));
        _svg.Text(Left - 8, middle + 4, string.Create(CultureInfo.InvariantCulture, $"CPU {cpu}"), $"text-anchor=\"end\"{(cpu == 0 ? " font-weight=\"600\"" : "")}");
        _svg.Line(Left, top, Right, top, "stroke=\"currentColor\" stroke-opacity=\"0.12\"");
        if (_recording.Activities[cpu] == CpuActivity.Guest) Guest(cpu, middle);
        foreach (var (_, kind, from, to) in _boxes.Where(box => box.Cpu == cpu)) Box(kind, from, to - from, top + 2, _laneHeight - 4);
    }

    /// <summary>Guest code is what a CPU runs between all else.</summary>
    private void Guest(int cpu, double middle)
    {
        var from = Left;
        foreach (var box in _boxes.Where(box => box.Cpu == cpu).OrderBy(box => box.From).Append((Cpu: cpu, Kind: SpanKind.Step, From: Right, To: Right)))
        {
            if (box.From - from >= 0.5) _svg.Rectangle(from, middle - 2, box.From - from, 4, "fill-opacity=\"0.35\"");
            from = Math.Max(from, box.To);
        }
    }

    private IEnumerable<(int Cpu, SpanKind Kind, double From, double To)> Boxes(int cpu, double narrow) => Kinds.SelectMany(each => Widest(
        _recording.Spans.Where(span => span.Cpu.Index == cpu && span.Kind == each.Kind).OrderBy(span => span.StartCycles).Select(span => (span, AtX(span.StartCycles), AtX(span.EndCycles))),
        narrow).Select(box => (cpu, each.Kind, box.From, box.To)));

    /// <summary>Neighbours of which one is too narrow to be seen become one.</summary>
    private static List<(T What, double From, double To, int Count)> Widest<T>(IEnumerable<(T What, double From, double To)> spans, double narrow)
    {
        var drawn = new List<(T What, double From, double To, int Count)>();
        foreach (var (what, from, to) in spans)
        {
            if (drawn.Count > 0 && drawn[^1] is var last && from - last.To < narrow / 2 && (to - from < narrow || last.To - last.From < narrow || last.Count > 1))
                drawn[^1] = last with { To = Math.Max(to, last.To), Count = last.Count + 1 };
            else
                drawn.Add((what, from, to, 1));
        }

        return drawn;
    }

    private void Box(SpanKind kind, double x, double width, double y, double height)
    {
        width = Math.Max(width, 1);
        var inset = kind switch { SpanKind.Step => height * 0.28, SpanKind.Interrupt => height * 0.14, _ => 0 };
        var attributes = kind switch
        {
            SpanKind.Step => "fill=\"#009E73\"",
            SpanKind.Write => "fill=\"#D55E00\"",
            SpanKind.Sync => "fill=\"#E69F00\" fill-opacity=\"0.25\" stroke=\"#E69F00\"",
            SpanKind.Interrupt => "fill=\"#0072B2\"",
            _ => "fill=\"#CC79A7\"",
        };
        _svg.Rectangle(x, y + inset, width, height - (2 * inset), attributes);
        if (kind == SpanKind.Trap && width >= 5)
            _svg.Text(x + (width / 2), y + (height / 2) + 4, "!", "text-anchor=\"middle\" font-weight=\"700\" fill=\"#000000\"");
    }

    private void Arrows()
    {
        // Whole rounds are drawn or left out: half a round would say that some CPU was spared.
        var rounds = _recording.Ipis.Where(ipi => ipi.From.Index < _lanes && ipi.To.Index < _lanes).GroupBy(ipi => (ipi.From, ipi.SentCycles)).ToArray();
        var each = Math.Max(1, (int)Math.Ceiling((double)_recording.Ipis.Count / ArrowsMax));
        var drawn = rounds.Where((_, i) => i % each == 0).SelectMany(round => round).ToArray();
        ArrowsLeftOut = _recording.Ipis.Count - drawn.Length;
        foreach (var ipi in drawn)
        {
            var down = ipi.To.Index > ipi.From.Index;
            Arrow(AtX(ipi.SentCycles), LaneTop(ipi.From.Index) + (down ? _laneHeight - 2 : 2), AtX(ipi.TakenCycles), LaneTop(ipi.To.Index) + (down ? 2 : _laneHeight - 2));
        }
    }

    private void Arrow(double x1, double y1, double x2, double y2)
    {
        _svg.Line(x1, y1, x2, y2, "stroke=\"currentColor\" stroke-opacity=\"0.55\"");
        var length = Math.Max(1, Math.Sqrt(((x2 - x1) * (x2 - x1)) + ((y2 - y1) * (y2 - y1))));
        var (dx, dy) = ((x2 - x1) / length, (y2 - y1) / length);
        _svg.Append(string.Create(CultureInfo.InvariantCulture,
            $"<path d=\"M{x2:0.##},{y2:0.##}L{x2 - (6 * dx) + (2.5 * dy):0.##},{y2 - (6 * dy) - (2.5 * dx):0.##}L{x2 - (6 * dx) - (2.5 * dy):0.##},{y2 - (6 * dy) + (2.5 * dx):0.##}Z\"/>"));
    }

    private void Axis(double y)
    {
        var costs = _recording.Run.Costs;
        var (from, to) = (costs.SecondsOf(_recording.StartCycles), costs.SecondsOf(_recording.EndCycles));
        var ticks = new AxisTicks(new("", "s"), [from, to]);
        _svg.Line(Left, y, Right, y, "stroke=\"currentColor\"");
        foreach (var tick in ticks.Values.Where(tick => tick >= from && tick <= to))
        {
            var x = Left + ((Right - Left) * ((tick - from) / (to - from)));
            _svg.Line(x, y, x, y + 5, "stroke=\"currentColor\"");
            _svg.Text(x, y + 19, ticks.Label(tick), Right - x < 20 ? "text-anchor=\"end\"" : "text-anchor=\"middle\"");
        }

        _svg.Text((Left + Right) / 2, y + 38, "simulated time since the patching began", "text-anchor=\"middle\"");
    }
}
