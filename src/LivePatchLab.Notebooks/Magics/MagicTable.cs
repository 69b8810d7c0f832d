using System.Collections;

namespace LivePatchLab.Notebooks;

/// <summary>All magics of a session, in the order in which they were added.</summary>
public sealed class MagicTable : IReadOnlyCollection<Magic>
{
    private readonly List<Magic> _magics = [];

    public int Count => _magics.Count;

    public void Add(Magic magic)
    {
        if (!IsName(magic.Name))
            throw new ArgumentException($"'{magic.Name}' is no name for a magic: lower-case letters, digits and dashes, a letter first", nameof(magic));
        if (Find(magic.Name) is not null)
            throw new ArgumentException($"there is a magic {magic.Directive} already", nameof(magic));
        if (magic.Parameters.FirstOrDefault(parameter => !IsName(parameter.Name)) is { } odd)
            throw new ArgumentException($"{magic.Directive}: '{odd.Name}' is no name for a parameter", nameof(magic));
        if (magic.Parameters.Select(parameter => parameter.Name).Distinct(StringComparer.Ordinal).Count() != magic.Parameters.Count)
            throw new ArgumentException($"{magic.Directive}: two parameters have one name", nameof(magic));
        if (magic.Parameters.Count(parameter => parameter.Positional) > 1)
            throw new ArgumentException($"{magic.Directive}: only one parameter can go without its name", nameof(magic));
        if (magic.Parameters.FirstOrDefault(parameter => parameter.Flag && (parameter.Positional || parameter.Required || parameter.Default is not null)) is { } flag)
            throw new ArgumentException($"{magic.Directive}: the flag --{flag.Name} can be neither positional nor required, and has no default", nameof(magic));
        _magics.Add(magic);
    }

    public Magic? Find(string name) => _magics.FirstOrDefault(magic => magic.Name == name);

    public IEnumerator<Magic> GetEnumerator() => _magics.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static bool IsName(string name)
        => name.Length > 0 && char.IsAsciiLetterLower(name[0]) && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');
}
