namespace LivePatchLab.Notebooks;

/// <summary>A command of the form <c>#!name --parameter value</c>: plain data, so that every host can offer it in its own way.</summary>
/// <param name="Name">Without the <c>#!</c>.</param>
/// <param name="Help">One sentence.</param>
/// <param name="Handler">Does the work. A <see cref="UserErrorException"/> becomes one line under the cell.</param>
public sealed record Magic(string Name, string Help, Func<MagicCall, Task> Handler)
{
    public const string Prefix = "#!";

    public IReadOnlyList<MagicParameter> Parameters { get; init; } = [];

    /// <summary>Whole lines that work as they stand.</summary>
    public IReadOnlyList<string> Examples { get; init; } = [];

    public string Directive => Prefix + Name;

    public MagicParameter? Parameter(string name) => Parameters.FirstOrDefault(parameter => parameter.Name == name);
}

/// <summary>One parameter of a magic.</summary>
/// <param name="Name">Without the <c>--</c>.</param>
/// <param name="Help">One sentence, or less.</param>
public sealed record MagicParameter(string Name, string Help)
{
    public bool Required { get; init; }

    /// <summary>Takes no value: it is there or not.</summary>
    public bool Flag { get; init; }

    /// <summary>May be given without its name (<c>#!lab protocols</c>). One per magic at most: .NET Interactive allows no more.</summary>
    public bool Positional { get; init; }

    /// <summary>The value when none is given, as the user would write it.</summary>
    public string? Default { get; init; }

    /// <summary>The values that complete it; asked anew each time.</summary>
    public Func<IEnumerable<string>>? Values { get; init; }

    /// <summary>Values are only suggestions: others are let through to the handler.</summary>
    public bool OtherValues { get; init; }

    /// <summary>Takes several values with commas between them; each must be one of <see cref="Values"/>.</summary>
    public bool Many { get; init; }

    /// <summary>What one value is called in messages, where that is not the parameter's own name: "protocol".</summary>
    public string? Kind { get; init; }

    /// <summary>The line that lists all values: "#!lab protocols".</summary>
    public string? ListedBy { get; init; }
}
