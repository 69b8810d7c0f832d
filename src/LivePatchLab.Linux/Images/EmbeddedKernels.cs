namespace LivePatchLab.Linux;

/// <summary>The site tables that travel inside this assembly; data/kernels has their text and where they come from.</summary>
public static class EmbeddedKernels
{
    private static readonly Lazy<SiteTable> Debian61CloudTable = new(() => Read("6.1.0-56-cloud.ftrace.csv", SiteTable.Parse));
    private static readonly Lazy<JumpLabelTable> Debian61CloudJumpLabelTable = new(() => Read("6.1.0-56-cloud.jumplabels.csv", JumpLabelTable.Parse));
    private static readonly Lazy<StaticCallTable> Debian61CloudStaticCallTable = new(() => Read("6.1.0-56-cloud.staticcalls.csv", StaticCallTable.Parse));

    /// <summary>The 35,609 traced sites of Debian's 6.1.0-56-cloud-amd64, of which ftrace enables 35,051.</summary>
    public static SiteTable Debian61Cloud => Debian61CloudTable.Value;

    public static JumpLabelTable Debian61CloudJumpLabels => Debian61CloudJumpLabelTable.Value;

    public static StaticCallTable Debian61CloudStaticCalls => Debian61CloudStaticCallTable.Value;

    private static T Read<T>(string name, Func<TextReader, string, T> parse)
    {
        using var stream = typeof(EmbeddedKernels).Assembly.GetManifestResourceStream("kernels/" + name)
            ?? throw new InvalidOperationException($"the assembly was built without {name}");
        using var reader = new StreamReader(stream);
        return parse(reader, name);
    }
}
