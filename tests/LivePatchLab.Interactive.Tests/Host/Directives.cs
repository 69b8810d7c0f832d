namespace Microsoft.DotNet.Interactive.Directives;

public abstract class KernelDirective(string name, string? description)
{
    public string Name { get; } = name;

    public string? Description { get; } = description;

    public ICollection<KernelDirectiveParameter> Parameters { get; } = [];
}

public sealed class KernelActionDirective(string name, string? description = null) : KernelDirective(name, description);

public sealed class KernelDirectiveParameter(string name, string? description = null)
{
    private Func<IEnumerable<string>>? _completions;

    public string Name { get; } = name;

    public string? Description { get; } = description;

    public bool AllowImplicitName { get; init; }

    public bool Required { get; init; }

    public bool Flag { get; init; }

    public KernelDirectiveParameter AddCompletions(Func<IEnumerable<string>> completions)
    {
        _completions = completions;
        return this;
    }

    /// <summary>What the product offers after the parameter's name.</summary>
    internal IReadOnlyList<string>? Completions => _completions is null ? null : [.. _completions()];
}
