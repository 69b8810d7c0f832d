using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LivePatchLab.Linux;
using Microsoft.CodeAnalysis.CSharp;

namespace LivePatchLab.Notebooks;

/// <summary>
/// A value given to a notebook from outside, read as YAML reads a scalar (which is how papermill reads one): true and false, whole numbers, reals, else text;
/// quotes make text of anything; brackets make a list of values of one kind.
/// </summary>
public sealed record ParameterValue
{
    private enum Kind { Truth, Whole, Real, Text }

    /// <summary>As C# writes it: <c>4</c>, <c>"text"</c>, <c>[1, 2, 3]</c>.</summary>
    public required string Literal { get; init; }

    /// <summary>The C# type that it has by itself; null for an empty list, which has none.</summary>
    public required string? Type { get; init; }

    /// <summary>As a notebook's metadata holds it.</summary>
    public required JsonNode Json { get; init; }

    /// <param name="text">What the user wrote.</param>
    /// <exception cref="BadInputException">It is a list or a quoted text with a mistake, or a number that nothing holds.</exception>
    public static ParameterValue Parse(string text)
        => text.TrimStart().StartsWith('[') ? List(text.Trim()) : Single(Scalar.Parse(text));

    private static ParameterValue Single(Scalar scalar) => new() { Literal = scalar.Literal, Type = scalar.Type, Json = scalar.Json };

    private static ParameterValue List(string text)
    {
        if (!text.EndsWith(']')) throw new BadInputException($"{text}: the list has no ] at its end");
        var items = Items(text[1..^1]).Select(item => Scalar.Parse(item.Trim())).ToArray();
        var kinds = items.Select(item => item.Kind).Distinct().ToArray();
        if (kinds.Length > 1 && !kinds.All(kind => kind is Kind.Whole or Kind.Real))
            throw new BadInputException($"{text}: the values of a list must be of one kind; quotes make text of a value");
        return new()
        {
            Literal = $"[{string.Join(", ", items.Select(item => item.Literal))}]",
            Type = items.Length == 0 ? null : (kinds.Length > 1 ? "double" : Widest(items, text)) + "[]",
            Json = new JsonArray([.. items.Select(item => item.Json)]),
        };
    }

    /// <summary>The type that holds all of one kind; of whole numbers it is the longest.</summary>
    private static string Widest(Scalar[] items, string text)
    {
        if (items[0].Kind != Kind.Whole) return items[0].Type;
        string[] types = ["int", "long", "ulong"];
        var widest = types.Last(type => items.Any(item => item.Type == type));
        return widest == "ulong" && items.Any(item => item.Literal.StartsWith('-'))
            ? throw new BadInputException($"{text}: no type of 64 bits holds both the negative and the greatest of these numbers")
            : widest;
    }

    private static IEnumerable<string> Items(string text)
    {
        if (text.Trim().Length == 0) yield break;
        var start = 0;
        var quote = '\0';
        for (var i = 0; i < text.Length; i++)
        {
            if (quote != '\0')
            {
                if (text[i] == '\\' && quote == '"') i++;
                else if (text[i] == quote) quote = '\0';
            }
            else if (text[i] is '"' or '\'' && text[start..i].Trim().Length == 0)
            {
                // Only at its beginning does a quote make a quoted text, as in YAML.
                quote = text[i];
            }
            else if (text[i] is '[' or ']')
            {
                throw new BadInputException($"[{text}]: a list within a list cannot be given; set it in a cell");
            }
            else if (text[i] == ',')
            {
                yield return text[start..i];
                start = i + 1;
            }
        }
        yield return text[start..];
    }

    private sealed record Scalar(Kind Kind, string Type, string Literal, JsonNode Json)
    {
        public static Scalar Parse(string text)
        {
            var trimmed = text.Trim();
            if (trimmed.StartsWith('"') || trimmed.StartsWith('\'')) return Text(Unquoted(trimmed));
            if (trimmed is "true" or "True" or "false" or "False")
            {
                var truth = trimmed is "true" or "True";
                return new(Kind.Truth, "bool", truth ? "true" : "false", truth);
            }
            return Whole(trimmed) ?? Real(trimmed) ?? Text(text);
        }

        private static Scalar Text(string text) => new(Kind.Text, "string", SymbolDisplay.FormatLiteral(text, quote: true), text);

        private static Scalar? Whole(string text)
        {
            var isHexadecimal = text.StartsWith("0x", StringComparison.Ordinal);
            var digits = isHexadecimal ? text[2..] : text.StartsWith('-') || text.StartsWith('+') ? text[1..] : text;
            if (digits.Length == 0 || !digits.All(isHexadecimal ? char.IsAsciiHexDigit : char.IsAsciiDigit)) return null;
            if (isHexadecimal
                ? ulong.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var unsigned)
                : ulong.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out unsigned))
            {
                var type = unsigned <= int.MaxValue ? "int" : unsigned <= long.MaxValue ? "long" : "ulong";
                return new(Kind.Whole, type, unsigned.ToString(CultureInfo.InvariantCulture), unsigned);
            }
            if (!isHexadecimal && long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var signed))
            {
                return new(Kind.Whole, signed >= int.MinValue ? "int" : "long", signed.ToString(CultureInfo.InvariantCulture), signed);
            }
            throw new BadInputException($"{text}: a whole number of more than 64 bits; quotes make text of it");
        }

        private static Scalar? Real(string text)
        {
            // No NaN, no thousands, no "1e": what is no number in every eye is text.
            if (!text.Any(char.IsAsciiDigit) || !text.All(c => char.IsAsciiDigit(c) || c is '.' or '+' or '-' or 'e' or 'E')
                || !double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var real)) return null;
            if (!double.IsFinite(real)) throw new BadInputException($"{text}: greater than every real number that there is room for; quotes make text of it");
            var literal = real.ToString("R", CultureInfo.InvariantCulture);
            return new(Kind.Real, "double", literal.All(c => char.IsAsciiDigit(c) || c == '-') ? literal + ".0" : literal, real);
        }

        private static string Unquoted(string text)
        {
            var quote = text[0];
            var inner = text.Length > 1 && text[^1] == quote ? text[1..^1] : throw new BadInputException($"{text}: the quote at its beginning has none at the end");
            if (quote == '\'')
            {
                return inner.Replace("''", "", StringComparison.Ordinal).Contains('\'')
                    ? throw new BadInputException($"{text}: a ' within '…' is written twice")
                    : inner.Replace("''", "'", StringComparison.Ordinal);
            }
            try
            {
                return JsonSerializer.Deserialize<string>(text)!;
            }
            catch (JsonException)
            {
                throw new BadInputException($"{text}: no text in double quotes; in it \" and \\ are written \\\" and \\\\");
            }
        }
    }
}
