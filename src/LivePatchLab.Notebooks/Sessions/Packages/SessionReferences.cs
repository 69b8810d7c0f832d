using System.Reflection;
using System.Runtime.Loader;

namespace LivePatchLab.Notebooks;

/// <summary>
/// The libraries that a session's cells have asked for. They are loaded apart from the lab and from other sessions, so that two notebooks may use two versions;
/// but what the lab and .NET have themselves is theirs, since a type of two copies would be two types.
/// </summary>
internal sealed class SessionReferences() : AssemblyLoadContext("libraries of cells")
{
    private static readonly Lazy<Dictionary<string, string>> Host = new(() => ((string?)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .GroupBy(path => Path.GetFileNameWithoutExtension(path), StringComparer.OrdinalIgnoreCase)
        .ToDictionary(group => group.Key, group => group.First(), StringComparer.OrdinalIgnoreCase));

    private readonly List<ReferenceDirective> _packages = [];
    private readonly List<string> _sources = [];
    private readonly HashSet<string> _folders = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _paths = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, string> _natives = new(StringComparer.Ordinal);

    /// <summary>Has what some lines of a cell ask for, and answers with the assemblies that the compiler shall know.</summary>
    /// <exception cref="UserErrorException">There is none, or not beside what is loaded already.</exception>
    public async Task<IReadOnlyList<Assembly>> AddAsync(IReadOnlyList<ReferenceDirective> directives, Action<string> tell, CancellationToken token)
    {
        var sources = _sources.Concat(directives.Where(each => each.Kind == ReferenceKind.Source).Select(each => Source(each.Name))).Distinct().ToArray();
        var asked = directives.Where(each => each.Kind == ReferenceKind.Package && !_packages.Contains(each)).ToArray();
        var loaded = new List<Assembly>();
        if (asked.Length > 0)
        {
            foreach (var package in asked)
            {
                if (_packages.Concat(asked).FirstOrDefault(each => Same(each.Name, package.Name) && each.Version != package.Version) is { } other)
                    throw new UserErrorException($"{PackageRestore.Name(package)} cannot be loaded beside {PackageRestore.Name(other)}; use one version, and restart where the other is loaded");
            }
            // All packages of the session at once: only so do they agree on what they depend on.
            var packages = _packages.Concat(asked).Distinct().ToArray();
            var files = await PackageRestore.RunAsync(packages, sources, tell, token);
            foreach (var file in files.Natives)
                _natives[Path.GetFileName(file)] = file;
            loaded.AddRange(Take(files.Assemblies));
            _packages.AddRange(asked);
        }
        _sources.AddRange(sources.Except(_sources).ToArray());
        foreach (var file in directives.Where(each => each.Kind == ReferenceKind.File))
            loaded.AddRange(File.Exists(file.Name) ? Take([Path.GetFullPath(file.Name)], withFolder: true) : [ByName(file.Name)]);
        return loaded;
    }

    protected override Assembly? Load(AssemblyName name)
    {
        // Null leaves it to the lab's own.
        if (name.Name is null || Host.Value.ContainsKey(name.Name))
            return null;
        var path = _paths.GetValueOrDefault(name.Name) ?? _folders.Select(folder => Path.Combine(folder, name.Name + ".dll")).FirstOrDefault(File.Exists);
        return path is null ? null : LoadFromAssemblyPath(path);
    }

    protected override nint LoadUnmanagedDll(string name)
    {
        foreach (var file in (string[])[name, name + ".so", "lib" + name + ".so", name + ".dll", name + ".dylib", "lib" + name + ".dylib"])
        {
            if (_natives.GetValueOrDefault(file) is { } path)
                return LoadUnmanagedDllFromPath(path);
            if (_folders.Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists) is { } beside)
                return LoadUnmanagedDllFromPath(beside);
        }
        return 0;
    }

    private static bool Same(string left, string right) => string.Equals(left, right, StringComparison.OrdinalIgnoreCase);

    // The project that stands for the packages lies elsewhere, so a relative folder would mean another one there.
    private static string Source(string name) => name.Contains("://", StringComparison.Ordinal) ? name
        : Directory.Exists(name) ? Path.GetFullPath(name)
        : throw new UserErrorException($"there is no folder '{name}' to look for packages in");

    /// <summary>All or nothing: a conflict is found before anything is loaded.</summary>
    private List<Assembly> Take(IReadOnlyList<string> files, bool withFolder = false)
    {
        var names = files.Select(file => (File: file, Name: NameOf(file))).ToArray();
        foreach (var (file, name) in names)
        {
            if (Host.Value.TryGetValue(name.Name!, out var own))
            {
                if (NameOf(own).Version < name.Version)
                    throw new UserErrorException($"{Path.GetFileName(file)} is version {name.Version} of {name.Name}, and the lab itself uses {NameOf(own).Version}; take a version that is not newer");
            }
            else if (Assemblies.FirstOrDefault(each => Same(each.GetName().Name!, name.Name!)) is { } loaded && loaded.GetName().Version != name.Version)
            {
                throw new UserErrorException($"version {loaded.GetName().Version} of {name.Name} is loaded already, and {name.Version} cannot be loaded beside it; restart to use it");
            }
        }
        var taken = new List<Assembly>();
        foreach (var (file, name) in names)
        {
            if (withFolder)
                _folders.Add(Path.GetDirectoryName(file)!);
            _paths.TryAdd(name.Name!, file);
            taken.Add(Host.Value.ContainsKey(name.Name!) ? Assembly.Load(new AssemblyName(name.Name!)) : LoadFromAssemblyName(new AssemblyName(name.Name!)));
        }
        return taken;
    }

    private static AssemblyName NameOf(string file)
    {
        try
        {
            return AssemblyName.GetAssemblyName(file);
        }
        catch (BadImageFormatException)
        {
            throw new UserErrorException($"{file} is no .NET assembly");
        }
    }

    private static Assembly ByName(string name)
    {
        if (Host.Value.ContainsKey(name))
            return Assembly.Load(new AssemblyName(name));
        throw new UserErrorException($"there is no file '{name}'; a relative path starts at {Environment.CurrentDirectory}");
    }
}
