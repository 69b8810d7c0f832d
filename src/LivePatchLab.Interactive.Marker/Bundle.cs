namespace LivePatchLab.Interactive.Marker;

/// <summary>
/// Where the package lies. This assembly is all of the package that .NET Interactive references by itself: it depends on nothing, so nothing of the lab has to
/// agree with the versions of Roslyn and others that the host runs on.
/// </summary>
public static class Bundle
{
    /// <summary>The full path of the folder with the lab's assemblies and all that they need.</summary>
    public static string Folder { get; } = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(Bundle).Assembly.Location)!, "..", "..", "bundle", "net10.0"));

    /// <summary>The full path of the script that registers the lab with a host.</summary>
    public static string Script { get; } = Path.GetFullPath(Path.Combine(Folder, "..", "register.csx"));
}
