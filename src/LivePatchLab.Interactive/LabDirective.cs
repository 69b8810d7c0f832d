using System.Text.Json;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Interactive;

/// <summary>A magic as a host registers it.</summary>
/// <param name="Name">With the <c>#!</c>.</param>
/// <param name="Help">One sentence.</param>
/// <param name="Parameters">In the order in which help shows them.</param>
public sealed record LabDirective(string Name, string Help, IReadOnlyList<LabDirectiveParameter> Parameters)
{
    internal static LabDirective Of(Magic magic) => new(
        magic.Directive,
        magic.Examples.Count == 0 ? magic.Help : $"{magic.Help} For example: {magic.Examples[0]}",
        [.. magic.Parameters.Select(LabDirectiveParameter.Of)]);
}

/// <summary>One parameter of a directive.</summary>
/// <param name="Name">With the <c>--</c>.</param>
/// <param name="Help">One sentence, or less.</param>
/// <param name="Required">The host refuses the line without it.</param>
/// <param name="Flag">Takes no value.</param>
/// <param name="Positional">May be given without its name; one of a directive at most.</param>
/// <param name="Values">What completes it, asked anew each time; null where anything may stand.</param>
public sealed record LabDirectiveParameter(string Name, string Help, bool Required, bool Flag, bool Positional, Func<IEnumerable<string>>? Values)
{
    internal static LabDirectiveParameter Of(MagicParameter parameter) => new(
        "--" + parameter.Name,
        parameter.Default is null ? parameter.Help : $"{parameter.Help} (left out: {parameter.Default})",
        parameter.Required, parameter.Flag, parameter.Positional, parameter.Values);
}

/// <summary>One line of a cell that a host has bound to a directive, and what the host lends to carry it out.</summary>
/// <param name="Name">The directive, with its <c>#!</c>.</param>
/// <param name="Arguments">The values by their camel-cased names, as the host writes them; null for none.</param>
/// <param name="CellText">The whole text of the cell in which the line stands; null where the host does not know it.</param>
/// <param name="Cell">Where it shows things.</param>
/// <param name="Get">Reads a variable of the C# cells: whether there is one, and its value.</param>
/// <param name="Set">Makes a variable of the C# cells, of a type that C# can name.</param>
public sealed record LabDirectiveCall(
    string Name, IReadOnlyDictionary<string, JsonElement>? Arguments, string? CellText, HostCell Cell,
    Func<string, (bool Found, object? Value)> Get, Func<string, object?, Type, Task> Set);
