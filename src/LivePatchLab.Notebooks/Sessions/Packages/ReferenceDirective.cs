namespace LivePatchLab.Notebooks;

/// <summary>What a cell asks for by a line of its own: a file, a package, or a place to look for packages.</summary>
internal enum ReferenceKind
{
    /// <summary><c>#r "library.dll"</c></summary>
    File,

    /// <summary><c>#r "nuget: Id, Version"</c></summary>
    Package,

    /// <summary><c>#i "nuget: folder or URL"</c></summary>
    Source,
}

/// <summary>One such line, at column 0.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Name">The file, the package's id, or the source.</param>
/// <param name="Version">Of a package; null for the newest that there is.</param>
internal sealed record ReferenceDirective(ReferenceKind Kind, string Name, string? Version)
{
    private const string Packages = "nuget:";

    public static bool IsDirective(ReadOnlySpan<char> line)
        => line.Length > 2 && line[0] == '#' && line[1] is 'r' or 'i' && (char.IsWhiteSpace(line[2]) || line[2] == '"');

    /// <exception cref="UserErrorException">It is written otherwise.</exception>
    public static ReferenceDirective Parse(string line)
    {
        var start = line.IndexOf('"');
        var end = line.IndexOf('"', start + 1);
        if (start < 0 || end < 0 || line[2..start].Trim().Length > 0)
            throw Wrong(line);
        var rest = line[(end + 1)..].Trim();
        if (rest.Length > 0 && !rest.StartsWith("//", StringComparison.Ordinal))
            throw Wrong(line);
        var text = line[(start + 1)..end].Trim();
        var ofPackages = text.StartsWith(Packages, StringComparison.OrdinalIgnoreCase);
        var what = ofPackages ? text[Packages.Length..].Trim() : text;
        // Both find their way into a project file.
        if (what.Length == 0 || what.AsSpan().ContainsAny('<', '>', '&'))
            throw Wrong(line);
        if (line[1] == 'i')
            return ofPackages ? new(ReferenceKind.Source, what, null) : throw Wrong(line);
        if (!ofPackages)
            return new(ReferenceKind.File, what, null);
        var parts = what.Split(',', StringSplitOptions.TrimEntries);
        if (parts.Length > 2 || parts.Any(part => part.Length == 0) || parts[0].Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('.' or '-' or '_')))
            throw Wrong(line);
        return new(ReferenceKind.Package, parts[0], parts.Length == 2 ? parts[1] : null);
    }

    private static UserErrorException Wrong(string line) => new(line.StartsWith("#i", StringComparison.Ordinal)
        ? "write #i \"nuget: FOLDER or URL\""
        : "write #r \"FILE.dll\", #r \"nuget: ID\" or #r \"nuget: ID, VERSION\"");
}
