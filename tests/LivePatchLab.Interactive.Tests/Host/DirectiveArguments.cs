using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.DotNet.Interactive.Directives;

namespace Microsoft.DotNet.Interactive;

/// <summary>The product's way to read the parameters of a directive, with its silences: what it drops is dropped here.</summary>
internal static partial class DirectiveArguments
{
    public static JsonObject Bind(string line, KernelDirective directive, Func<string, object?> valueOf)
    {
        var bound = new JsonObject();
        foreach (var flag in directive.Parameters.Where(parameter => parameter.Flag))
            bound[Property(flag.Name)] = false;
        var given = new HashSet<string>(StringComparer.Ordinal);
        var loose = new List<string>();
        var words = Word().Matches(line).Select(match => match.Value).Skip(1).ToArray();
        for (var i = 0; i < words.Length; i++)
        {
            if (!words[i].StartsWith('-'))
            {
                loose.Add(words[i]);
                continue;
            }
            var parameter = directive.Parameters.FirstOrDefault(each => each.Name == words[i]) ?? throw new DirectiveException($"error DNI103: Unknown parameter name '{words[i]}'");
            if (!given.Add(parameter.Name))
                throw new DirectiveException($"error DNI105: A maximum of 1 occurrences are allowed for named parameter '{parameter.Name}'");
            if (parameter.Flag)
                bound[Property(parameter.Name)] = true;
            else if (++i < words.Length)
                bound[Property(parameter.Name)] = Value(words[i], valueOf);
        }
        if (directive.Parameters.FirstOrDefault(each => each.AllowImplicitName && !given.Contains(each.Name)) is { } positional && loose.Count > 0)
        {
            given.Add(positional.Name);
            // Of two words neither arrives.
            if (loose.Count == 1)
                bound[Property(positional.Name)] = Value(loose[0], valueOf);
        }
        return directive.Parameters.FirstOrDefault(each => each.Required && !given.Contains(each.Name)) is { } missing
            ? throw new DirectiveException($"error DNI104: Missing required parameter '{missing.Name}'")
            : bound;
    }

    private static JsonNode? Value(string word, Func<string, object?> valueOf)
        => word.StartsWith("@csharp:", StringComparison.Ordinal) ? JsonValue.Create((valueOf(word[8..]) ?? throw new DirectiveException($"error DNI202: Value '{word}' not found")).ToString())
            : word.StartsWith('[') ? JsonNode.Parse(word)
            : JsonValue.Create(word.Trim('"'));

    private static string Property(string parameter)
        => string.Concat(parameter.TrimStart('-').Split('-').Select((word, i) => i == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..]));

    [GeneratedRegex("""\[[^\]]*\]|"[^"]*"|\S+""")]
    private static partial Regex Word();
}
