using System.Globalization;
using LivePatchLab.Linux;

namespace LivePatchLab.Exploration;

/// <summary>A place in a line of a litmus file, from which words are taken one after the other. Whatever is wrong is said with file, line and column.</summary>
internal sealed class LitmusCursor(string file, int line, string text, int position = 0)
{
    /// <summary>From 1.</summary>
    public int Line { get; } = line;

    /// <summary>From 1: that of the next word.</summary>
    public int Column
    {
        get
        {
            SkipBlanks();
            return position + 1;
        }
    }

    public bool IsAtEnd
    {
        get
        {
            SkipBlanks();
            return position == text.Length;
        }
    }

    /// <summary>All that is left, without the blanks around it.</summary>
    public string Rest()
    {
        SkipBlanks();
        var rest = text[position..].TrimEnd();
        position = text.Length;
        return rest;
    }

    /// <summary>The next letter, or 0 at the end.</summary>
    public char Peek()
    {
        SkipBlanks();
        return position < text.Length ? text[position] : '\0';
    }

    /// <summary>A place to come back to.</summary>
    public LitmusCursor Copy() => new(file, Line, text, position);

    /// <summary>Takes the word if it comes next, whole.</summary>
    public bool TryWord(string word)
    {
        SkipBlanks();
        if (string.CompareOrdinal(text, position, word, 0, word.Length) != 0) return false;
        var end = position + word.Length;
        if (end < text.Length && IsNameLetter(text[end]) && IsNameLetter(text[end - 1])) return false;
        position = end;
        return true;
    }

    /// <summary>Takes several words if they come next, all of them.</summary>
    public bool TryWords(params ReadOnlySpan<string> words)
    {
        var start = position;
        foreach (var word in words)
        {
            if (TryWord(word)) continue;
            position = start;
            return false;
        }

        return true;
    }

    public void Expect(string word, string hint)
    {
        if (!TryWord(word)) throw Fail($"'{word}' is missing here: {hint}");
    }

    /// <summary>A name: letters, digits, '-', '_', '/' and '.', beginning with a letter.</summary>
    public string Name(string what)
    {
        SkipBlanks();
        var start = position;
        while (position < text.Length && (IsNameLetter(text[position]) || text[position] is '-' or '/')) position++;
        if (position > start && char.IsAsciiLetter(text[start])) return text[start..position];
        position = start;
        throw Fail($"{what} is missing here");
    }

    /// <summary>A name of letters, digits and '_' only, as variables, registers and labels have.</summary>
    public string Identifier(string what)
    {
        SkipBlanks();
        var start = position;
        while (position < text.Length && IsNameLetter(text[position]) && text[position] != '.') position++;
        if (position > start && char.IsAsciiLetter(text[start])) return text[start..position];
        position = start;
        throw Fail($"{what} is missing here");
    }

    /// <summary>A whole number, decimal or as 0x….</summary>
    public long Number(string what, long min = long.MinValue, long max = long.MaxValue)
    {
        SkipBlanks();
        var start = position;
        var isNegative = position < text.Length && text[position] == '-';
        if (isNegative) position++;
        var digits = position;
        while (position < text.Length && char.IsAsciiLetterOrDigit(text[position])) position++;
        var word = text[digits..position];
        var isHex = word.StartsWith("0x", StringComparison.Ordinal);
        var isRead = isHex
            ? long.TryParse(word.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number)
            : long.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out number);
        position = isRead ? position : start;
        if (!isRead) throw Fail($"{what} is missing here: a whole number, as 12 or 0xc");
        if (isNegative) number = -number;
        if (number >= min && number <= max) return number;
        position = start;
        throw Fail($"{what} is {number}: give {min} to {max}");
    }

    /// <summary>Bytes as pairs of hexadecimal digits, with or without blanks between them; empty where none comes next.</summary>
    public byte[] Bytes()
    {
        var bytes = new List<byte>();
        while (true)
        {
            SkipBlanks();
            if (position + 1 >= text.Length || !char.IsAsciiHexDigit(text[position]) || !char.IsAsciiHexDigit(text[position + 1])) break;
            var end = position + 2;

            // A word that only begins like a byte is no byte: "add" is none.
            var run = position;
            while (run < text.Length && IsNameLetter(text[run])) run++;
            if ((run - position) % 2 != 0 || !text.AsSpan(position, run - position).ContainsOnlyHex()) break;
            for (; end <= run; end += 2) bytes.Add(byte.Parse(text.AsSpan(end - 2, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
            position = run;
        }

        return [.. bytes];
    }

    /// <summary>One of a set of things that have names.</summary>
    public T OneOf<T>(IReadOnlyList<T> items, Func<T, string> nameOf, string kind)
    {
        var at = Copy();
        var name = Name($"the name of a {kind}");
        try
        {
            return Suggestion.Find(items, nameOf, name, kind);
        }
        catch (BadInputException e)
        {
            throw at.Fail(e.Message);
        }
    }

    /// <summary>Nothing more may come.</summary>
    public void ExpectEnd()
    {
        if (!IsAtEnd) throw Fail($"'{Copy().Rest()}' is not understood here: nothing more is expected on this line");
    }

    public BadInputException Fail(string message) => new($"{file}:{Line}:{Column}: {message}");

    private static bool IsNameLetter(char letter) => char.IsAsciiLetterOrDigit(letter) || letter is '_' or '.';

    private void SkipBlanks()
    {
        while (position < text.Length && text[position] is ' ' or '\t') position++;
    }
}

internal static class HexText
{
    public static bool ContainsOnlyHex(this ReadOnlySpan<char> text)
    {
        foreach (var letter in text)
            if (!char.IsAsciiHexDigit(letter)) return false;
        return true;
    }
}
