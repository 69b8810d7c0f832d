namespace LivePatchLab.Linux;

/// <summary>Says which function, structure or idea of the kernel a type stands for.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct | AttributeTargets.Interface | AttributeTargets.Method)]
public sealed class KernelNameAttribute(string name) : Attribute
{
    /// <summary>The kernel's own name.</summary>
    public string Name { get; } = name;

    /// <summary>The file, from the root of the kernel's tree.</summary>
    public string? File { get; init; }

    /// <summary>The version whose text was followed.</summary>
    public string? Version { get; init; }
}
