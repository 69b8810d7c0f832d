using System.Globalization;
using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

/// <summary>
/// Gives every cell an id: the file's own where it is valid and the first of its kind, else one made from the cell's position.
/// No chance and no clock, so that a notebook without ids becomes the same file every time.
/// </summary>
internal sealed class CellIds
{
    private const int LengthMax = 64;
    private readonly string[] _ids;

    public CellIds(IEnumerable<JsonNode?> found)
    {
        var own = found.Select(node => node is JsonValue value && value.TryGetValue<string>(out var id) && IsValid(id) ? id : null).ToArray();
        var taken = own.OfType<string>().ToHashSet(StringComparer.Ordinal);
        var given = new HashSet<string>(StringComparer.Ordinal);
        _ids = new string[own.Length];
        for (var i = 0; i < own.Length; i++)
        {
            var id = own[i];
            if (id is null || given.Contains(id))
                id = Made(i + 1, taken);
            given.Add(id);
            taken.Add(id);
            _ids[i] = id;
        }
    }

    public string At(int index) => _ids[index];

    public static bool IsValid(string id)
        => id.Length is > 0 and <= LengthMax && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    private static string Made(int position, HashSet<string> taken)
    {
        var id = $"cell-{position.ToString(CultureInfo.InvariantCulture)}";
        for (var suffix = 'b'; taken.Contains(id); suffix++)
            id = suffix <= 'z' ? $"cell-{position.ToString(CultureInfo.InvariantCulture)}{suffix}" : $"{id}-";
        return id;
    }
}
