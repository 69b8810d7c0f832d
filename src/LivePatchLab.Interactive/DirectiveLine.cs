using System.Text.Json;
using LivePatchLab.Notebooks;

namespace LivePatchLab.Interactive;

/// <summary>
/// Turns what the host has bound back into a line of our own. .NET Interactive silently drops words that it has no place for, all of them when two stand where
/// one may, and reads <c>--flag false</c> as true; so the lines are read a second time here, as they stand in the cell.
/// </summary>
internal static class DirectiveLine
{
    /// <exception cref="UserErrorException">The line says something that the host has not heard, or a value is none.</exception>
    public static MagicLine Read(Magic magic, MagicTable table, LabDirectiveCall call)
    {
        foreach (var line in Written(magic, call.CellText))
            MagicLine.Parse(line, table);
        return MagicLine.Parse(Bound(magic, call.Arguments ?? new Dictionary<string, JsonElement>()), table);
    }

    /// <summary>The lines of the cell that call the magic. A line with a reference to a value (<c>@csharp:name</c>) only the host can read.</summary>
    private static IEnumerable<string> Written(Magic magic, string? cellText)
        => (cellText ?? "").ReplaceLineEndings("\n").Split('\n')
            .Where(line => line.Split((char[]?)null, 2, StringSplitOptions.RemoveEmptyEntries) is [var name, ..] && name == magic.Directive && MagicLine.IsMagic(line))
            .Where(line => !line.Contains(" @", StringComparison.Ordinal));

    private static string Bound(Magic magic, IReadOnlyDictionary<string, JsonElement> arguments)
    {
        var line = magic.Directive;
        foreach (var parameter in magic.Parameters)
        {
            if (!arguments.TryGetValue(JsonNamingPolicyName(parameter.Name), out var given) || given.ValueKind is JsonValueKind.Null or JsonValueKind.False && parameter.Flag)
                continue;
            line += parameter.Flag ? $" --{parameter.Name}" : $" --{parameter.Name} {Quoted(magic, parameter, Text(given))}";
        }
        return line;
    }

    /// <summary>The host's way to make a property of a parameter's name: --two-words is twoWords.</summary>
    private static string JsonNamingPolicyName(string name)
        => string.Concat(name.Split('-').Select((word, i) => i == 0 || word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..]));

    private static string Text(JsonElement given) => given.ValueKind switch
    {
        JsonValueKind.String => given.GetString()!,
        JsonValueKind.Array => string.Join(',', given.EnumerateArray().Select(Text)),
        _ => given.GetRawText(),
    };

    private static string Quoted(Magic magic, MagicParameter parameter, string value) => value.Contains('"')
        ? throw new UserErrorException($"{magic.Directive}: --{parameter.Name} cannot hold a double quote")
        : $"\"{value}\"";
}
