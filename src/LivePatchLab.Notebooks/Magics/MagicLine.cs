using LivePatchLab.Linux;

namespace LivePatchLab.Notebooks;

/// <summary>
/// One line of a cell that starts with <c>#!</c> at column 0, parsed and checked against its magic. The syntax is what our own hosts and .NET Interactive both
/// take: <c>--p value</c>, <c>--flag</c>, double quotes without escapes. What the other host would read otherwise is refused here with a word on how to write it.
/// </summary>
public sealed class MagicLine
{
    private readonly Dictionary<string, string> _arguments = new(StringComparer.Ordinal);

    private MagicLine(Magic magic) => Magic = magic;

    public Magic Magic { get; }

    /// <summary>What was given, by parameter; a flag that is there has the value "true". Defaults are not in it.</summary>
    public IReadOnlyDictionary<string, string> Arguments => _arguments;

    public static bool IsMagic(string line) => line.StartsWith(Magic.Prefix, StringComparison.Ordinal);

    /// <exception cref="UserErrorException">The line names something that is not there, or lacks something.</exception>
    public static MagicLine Parse(string line, MagicTable table)
    {
        var words = Words(line);
        var name = words[0].Text[Magic.Prefix.Length..];
        var magic = table.Find(name) ?? throw new UserErrorException(
            $"no magic named '#!{name}'.{Suggestion.Question(table.Select(each => each.Name), name, Magic.Prefix)}{Listing(table)}");
        var parsed = new MagicLine(magic);
        for (var i = 1; i < words.Count; i++)
            i = parsed.Take(words, i);
        foreach (var missing in magic.Parameters.Where(parameter => parameter.Required && !parsed._arguments.ContainsKey(parameter.Name)))
            throw new UserErrorException($"{magic.Directive} needs --{missing.Name}: {missing.Help}");
        return parsed;
    }

    private int Take(IReadOnlyList<Word> words, int at)
    {
        var word = words[at];
        if (!word.IsParameter)
        {
            var positional = Magic.Parameters.FirstOrDefault(parameter => parameter.Positional && !_arguments.ContainsKey(parameter.Name))
                ?? throw new UserErrorException($"{Magic.Directive} does not know what to do with '{word.Text}'.{Surplus(words[at - 1])}");
            Give(positional, word);
            return at;
        }
        var name = word.Text[2..];
        if (name.Contains('='))
            throw new UserErrorException($"{Magic.Directive}: write '{word.Text.Replace("=", " ", StringComparison.Ordinal)}', without '='");
        var parameter = Magic.Parameter(name) ?? throw new UserErrorException(
            $"{Magic.Directive} has no parameter --{name}.{Suggestion.Question(Magic.Parameters.Select(each => each.Name), name, "--")}{Known()}");
        if (_arguments.ContainsKey(name))
            throw new UserErrorException($"{Magic.Directive}: --{name} is given twice");
        if (parameter.Flag)
        {
            _arguments.Add(name, "true");
            return at;
        }
        if (at + 1 == words.Count || words[at + 1].IsParameter)
            throw new UserErrorException($"{Magic.Directive}: --{name} needs a value: {parameter.Help}");
        Give(parameter, words[at + 1]);
        return at + 1;
    }

    private void Give(MagicParameter parameter, Word word)
    {
        if (word.Text.StartsWith('\'') && !word.Quoted)
            throw new UserErrorException($"{Magic.Directive}: single quotes do not quote here; write --{parameter.Name} \"…\"");
        if (word.Text.StartsWith('@') && !word.Quoted)
            throw new UserErrorException($"{Magic.Directive}: '{word.Text}' would be read as a reference in .NET Interactive; put it in double quotes");
        var values = parameter.OtherValues ? null : parameter.Values?.Invoke().ToArray();
        if (values is not null)
        {
            foreach (var value in parameter.Many ? word.Text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) : [word.Text])
            {
                if (!values.Contains(value, StringComparer.Ordinal))
                    throw new UserErrorException(NoSuch(parameter, value, values));
            }
        }
        _arguments.Add(parameter.Name, word.Text);
    }

    private string NoSuch(MagicParameter parameter, string value, string[] values)
    {
        var start = parameter.Kind is null ? $"{Magic.Directive}: no {parameter.Name}" : $"no {parameter.Kind}";
        var all = parameter.ListedBy is null ? $"--{parameter.Name}: {Few(values)}" : $"{parameter.ListedBy} lists all {values.Length}";
        return $"{start} named '{value}'.{Suggestion.Question(values, value)}  ({all})";
    }

    private string Surplus(Word before)
        => before.IsParameter && Magic.Parameter(before.Text[2..]) is { Flag: true } flag
            ? $" --{flag.Name} takes no value."
            : Known();

    private string Known()
        => Magic.Parameters.Count == 0 ? " It has no parameters." : $"  (it has {string.Join(", ", Magic.Parameters.Select(parameter => "--" + parameter.Name))})";

    private static string Listing(MagicTable table) => table.Find("lab") is null
        ? $"  (there are: {string.Join(", ", table.Select(magic => magic.Directive))})"
        : $"  (#!lab lists all {table.Count})";

    private static string Few(string[] values)
    {
        const int Shown = 12;
        return values.Length <= Shown ? string.Join(", ", values) : $"{string.Join(", ", values.Take(Shown))} and {values.Length - Shown} more";
    }

    private static List<Word> Words(string line)
    {
        var words = new List<Word>();
        for (var i = 0; i < line.Length;)
        {
            if (char.IsWhiteSpace(line[i]))
            {
                i++;
            }
            else if (line[i] == '"')
            {
                var end = line.IndexOf('"', i + 1);
                if (end < 0)
                    throw new UserErrorException($"a double quote is opened in column {i + 1} and never closed");
                words.Add(new(line[(i + 1)..end], Quoted: true));
                i = end + 1;
            }
            else
            {
                var end = i;
                while (end < line.Length && !char.IsWhiteSpace(line[end]))
                    end++;
                words.Add(new(line[i..end], Quoted: false));
                i = end;
            }
        }
        return words;
    }

    private readonly record struct Word(string Text, bool Quoted)
    {
        public bool IsParameter => !Quoted && Text.StartsWith("--", StringComparison.Ordinal);
    }
}
