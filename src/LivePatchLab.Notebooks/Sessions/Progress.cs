namespace LivePatchLab.Notebooks;

/// <summary>How far a work is: <paramref name="Done"/> of <paramref name="Total"/>, in words of the field; a total of 0 is one that nobody knows.</summary>
[TypeFormatterSource(typeof(ViewFormatterSource), PreferredMimeTypes = [MimeBundle.Html, MimeBundle.Plain])]
public sealed record Progress(long Done, long Total, string Text)
{
    /// <summary>Since the work's first report. Who works leaves it out: a <see cref="ProgressClock"/> of the host fills it in.</summary>
    public TimeSpan? Elapsed { get; init; }

    /// <summary>How fast it goes lately; null while that cannot be told yet.</summary>
    public double? RatePerSecond { get; init; }

    public double Fraction => Total <= 0 ? 0 : Math.Clamp((double)Done / Total, 0, 1);

    /// <summary>How long the rest takes if it goes on like this; null without a rate or a total.</summary>
    public TimeSpan? Left
        => Total > 0 && RatePerSecond is { } rate and > 0 && (Total - Done) / rate is var seconds && seconds < TimeSpan.MaxValue.TotalSeconds / 2
            ? TimeSpan.FromSeconds(Math.Max(0, seconds))
            : null;

    /// <summary>"runs: 120 of 400, 30 %, 14 a second, 20 s left", as far as it is known.</summary>
    public override string ToString()
    {
        var parts = new List<string> { Total > 0 ? Invariant($"{Text}: {Done:N0} of {Total:N0}") : Invariant($"{Text}: {Done:N0}") };
        // Rounded down: a hundred per cent are all.
        if (Total > 0) parts.Add(Invariant($"{Math.Floor(100 * Fraction)} %"));
        if (RatePerSecond is { } rate and > 0) parts.Add(ShowRate(rate));
        if (Left is { } left && Done < Total) parts.Add(ShowLeft(left));
        return string.Join(", ", parts);
    }

    public string ToHtml()
        => $"<progress{(Total > 0 ? Invariant($" max=\"{Total}\" value=\"{Math.Clamp(Done, 0, Total)}\"") : "")}></progress> {HtmlText.Escape(ToString())}";

    private static string ShowRate(double perSecond) => perSecond switch
    {
        >= 10 => Invariant($"{perSecond:N0} a second"),
        >= 1 => Invariant($"{perSecond:0.#} a second"),
        >= 1.0 / 60 => Invariant($"{perSecond * 60:0.#} a minute"),
        _ => Invariant($"{perSecond * 3600:0.#} an hour"),
    };

    /// <summary>No finer than an estimate can be.</summary>
    private static string ShowLeft(TimeSpan left)
    {
        var seconds = (long)Math.Ceiling(left.TotalSeconds);
        if (seconds < 60) return Invariant($"{seconds} s left");
        if (seconds < 3600) return Invariant($"{seconds / 60} min {seconds % 60 / 10 * 10} s left");
        return Invariant($"{seconds / 3600} h {seconds % 3600 / 60} min left");
    }

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
