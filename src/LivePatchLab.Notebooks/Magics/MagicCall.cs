using LivePatchLab.Linux;
using System.Globalization;

namespace LivePatchLab.Notebooks;

/// <summary>What a magic's handler works with: its arguments, the cell's output, the session's variables and the wish to stop.</summary>
public sealed class MagicCall(MagicLine line, ICellOutput output, ISessionVariables variables, CancellationToken cancellationToken)
{
    public Magic Magic => line.Magic;

    internal ICellOutput Output => output;

    public CancellationToken CancellationToken => cancellationToken;

    /// <summary>Where a long handler says how far it is. Nothing of it stays in the saved notebook.</summary>
    public IProgress<Progress> Progress { get; } = new Reporter(output);

    public bool Has(string parameter) => Given(parameter) is not null;

    public bool Flag(string parameter) => Given(parameter) is not null;

    /// <summary>The value, or the default; empty when there is neither.</summary>
    public string Text(string parameter) => Given(parameter) ?? Known(parameter).Default ?? "";

    /// <summary>The value as it is, or the default, or null.</summary>
    public string? TextOrNull(string parameter) => Given(parameter) ?? Known(parameter).Default;

    /// <summary>A whole number; digits may be grouped by underscores as in C#, and 0x starts hexadecimal ones.</summary>
    public long Number(string parameter, long min = long.MinValue, long max = long.MaxValue) => Number(parameter, Text(parameter), min, max);

    private long Number(string parameter, string text, long min, long max)
    {
        var digits = text.Replace("_", "", StringComparison.Ordinal);
        var ok = digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? long.TryParse(digits.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number)
            : long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number);
        if (!ok)
            throw Refuse(parameter, $"'{text}' is no whole number");
        if (number < min || number > max)
            throw Refuse(parameter, max == long.MaxValue ? $"{number} is less than {min}" : $"{number} is not in {min} to {max}");
        return number;
    }

    /// <summary>How many of something.</summary>
    public int Count(string parameter, int min = 1, int max = int.MaxValue) => (int)Number(parameter, min, max);

    public double Real(string parameter)
    {
        var text = Text(parameter);
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? number
            : throw Refuse(parameter, $"'{text}' is no number");
    }

    /// <summary>The parts of a value written with commas: <c>--cpus 1,2,4</c>.</summary>
    public IReadOnlyList<string> List(string parameter)
        => Text(parameter).Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    /// <summary>One of an enum's names, written as the enum is or with dashes (<c>sdm-worst</c>).</summary>
    public TEnum Choice<TEnum>(string parameter) where TEnum : struct, Enum
    {
        var text = Text(parameter);
        foreach (var name in Enum.GetNames<TEnum>())
        {
            if (string.Equals(name, text.Replace("-", "", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase))
                return Enum.Parse<TEnum>(name);
        }
        throw Refuse(parameter, $"'{text}' is none of {string.Join(", ", Enum.GetNames<TEnum>())}.{Suggestion.Question(Enum.GetNames<TEnum>(), text)}");
    }

    /// <summary>Whole numbers written with commas, and ranges of them with two dots: <c>1,2,8..10</c>.</summary>
    public IReadOnlyList<long> Numbers(string parameter, long min, long max)
    {
        const int NumbersMax = 100_000;
        var numbers = new List<long>();
        foreach (var part in List(parameter))
        {
            var ends = part.Split("..", 2);
            var first = Number(parameter, ends[0], min, max);
            var last = ends.Length == 1 ? first : Number(parameter, ends[1], min, max);
            if (last < first)
                throw Refuse(parameter, $"'{part}' ends before it begins");
            if (last - first >= NumbersMax - numbers.Count)
                throw Refuse(parameter, $"'{part}' makes more than {NumbersMax} numbers");
            for (var number = first; number <= last; number++)
                numbers.Add(number);
        }
        return numbers.Count > 0 ? numbers : throw Refuse(parameter, "needs at least one number");
    }

    /// <summary>The name of a C# variable to be set, checked before the work whose result it shall hold.</summary>
    public string VariableName(string parameter)
    {
        var name = Text(parameter);
        return CSharpSession.IsVariableName(name) ? name : throw Refuse(parameter, $"'{name}' cannot be the name of a C# variable");
    }

    /// <summary>A user's error about one parameter, to be thrown.</summary>
    public UserErrorException Refuse(string parameter, string problem) => new($"{Magic.Directive}: --{parameter} {problem}");

    /// <summary>Shows a value under the cell. The handle replaces it by another one.</summary>
    public DisplayHandle Display(object? value) => new(output.Display(Formatter.Bundle(value)));

    /// <summary>Makes a value a C# variable of the cells that follow, of its own type or the nearest one that C# can name.</summary>
    public void Set<T>(string name, T value) => variables.Set(name, value, value?.GetType() ?? typeof(T));

    /// <summary>A variable set by a magic or declared in a cell.</summary>
    public bool TryGet<T>(string name, out T value)
    {
        if (variables.TryGet(name, out var found) && found is T typed)
        {
            value = typed;
            return true;
        }
        value = default!;
        return false;
    }

    private string? Given(string parameter)
    {
        Known(parameter);
        return line.Arguments.GetValueOrDefault(parameter);
    }

    // A handler that asks for a parameter that its own magic does not declare is our mistake and must be found by the first test that runs it.
    private MagicParameter Known(string parameter)
        => Magic.Parameter(parameter) ?? throw new ArgumentException($"{Magic.Directive} declares no parameter '{parameter}'", nameof(parameter));

    private sealed class Reporter(ICellOutput output) : IProgress<Progress>
    {
        public void Report(Progress value) => output.Report(value);
    }
}
