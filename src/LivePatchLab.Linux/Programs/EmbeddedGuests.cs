namespace LivePatchLab.Linux;

/// <summary>The guests of data/guests that travel inside this assembly, so that a notebook finds them wherever it is run.</summary>
public static class EmbeddedGuests
{
    private const string Prefix = "guests/";

    /// <summary>Their names, in alphabetical order.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. typeof(EmbeddedGuests).Assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).Select(name => name[Prefix.Length..]).Order(StringComparer.Ordinal)];

    /// <summary>The file of that path; or, where there is none, the guest of that name.</summary>
    /// <exception cref="BadInputException">There is neither, or the file is not such a program.</exception>
    public static ProgramImage Open(string pathOrName)
    {
        if (File.Exists(pathOrName) || !Names.Contains(pathOrName)) return ProgramImage.Open(pathOrName);
        using var stream = typeof(EmbeddedGuests).Assembly.GetManifestResourceStream(Prefix + pathOrName)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return ProgramImage.Parse(bytes, pathOrName);
    }
}
