using System.Reflection;

namespace LivePatchLab.Notebooks;

/// <summary>What C# cells see without asking.</summary>
public sealed record CSharpSessionOptions
{
    private static readonly string[] LabAssemblies =
    [
        "LivePatchLab.Machine", "LivePatchLab.Linux", "LivePatchLab.Patching", "LivePatchLab.Exploration", "LivePatchLab.Experiments", "LivePatchLab.Notebooks",
    ];

    /// <summary>Assemblies that cells can use, beside those of .NET.</summary>
    public IReadOnlyList<Assembly> References { get; init; } = [];

    /// <summary>Namespaces that cells need not name.</summary>
    public IReadOnlyList<string> Usings { get; init; } = [];

    /// <summary>Static classes whose methods cells call without their name.</summary>
    public IReadOnlyList<string> StaticUsings { get; init; } = [];

    /// <summary>The lab's own: every assembly of it that is there and holds a public type in the namespace of its name.</summary>
    public static CSharpSessionOptions Lab { get; } = ForLab();

    private static CSharpSessionOptions ForLab()
    {
        var present = LabAssemblies.Select(Load).OfType<Assembly>().ToArray();
        return new()
        {
            References = present,
            StaticUsings = [typeof(Exploring).FullName!],
            Usings =
            [
                "System", "System.Linq", "System.Collections.Generic", "System.Threading", "System.Threading.Tasks",
                // A using of a namespace without public types is a compile error in every cell.
                .. present.SelectMany(assembly => assembly.GetExportedTypes()).Select(type => type.Namespace).OfType<string>()
                    .Where(space => LabAssemblies.Contains(space, StringComparer.Ordinal)).Distinct().Order(StringComparer.Ordinal),
            ],
        };
    }

    private static Assembly? Load(string name)
    {
        try
        {
            // By its full name: a script host that has loaded the assembly takes a name without a version for that of another one.
            return Assembly.Load(new AssemblyName($"{name}, Version={typeof(CSharpSessionOptions).Assembly.GetName().Version}, Culture=neutral, PublicKeyToken=null"));
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }
}
