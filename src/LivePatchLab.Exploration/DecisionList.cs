using System.Collections;
using System.Globalization;
using System.Text;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>
/// All that was left open in one run, answered. Its text has one letter for what was asked and the number that was answered, with
/// a repetition count where neighbours are equal: <c>s0*3 f2 s1</c> is three times the first transition, the third version, the second transition.
/// </summary>
public sealed class DecisionList : IReadOnlyList<Decision>
{
    private const string Letters = "qfiwst";
    private readonly Decision[] _decisions;

    public DecisionList(IEnumerable<Decision> decisions) => _decisions = [.. decisions];

    public int Count => _decisions.Length;

    public Decision this[int index] => _decisions[index];

    /// <summary>Reads a list back. How many alternatives there were is not in the text; a decision read from text has 0 there.</summary>
    /// <exception cref="BadInputException">It is no decision list; the message names the place.</exception>
    public static DecisionList Parse(string text)
    {
        var decisions = new List<Decision>();
        var at = 0;
        foreach (var word in text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
        {
            at++;
            var point = Letters.IndexOf(word[0], StringComparison.Ordinal);
            var star = word.IndexOf('*', StringComparison.Ordinal);
            var number = star < 0 ? word[1..] : word[1..star];
            var times = 1;
            if (point < 0
                || !int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var choice)
                || (star >= 0 && (!int.TryParse(word[(star + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out times) || times is < 1 or > 1_000_000)))
                throw new BadInputException($"decision {at}, '{word}': a decision is a letter of {Letters} and a number, as in s1, or s1*4 for four of them");
            for (var i = 0; i < times; i++) decisions.Add(new((ChoicePoint)point, choice, 0));
        }

        return new(decisions);
    }

    public IEnumerator<Decision> GetEnumerator() => ((IEnumerable<Decision>)_decisions).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public override string ToString()
    {
        var text = new StringBuilder();
        for (var i = 0; i < _decisions.Length;)
        {
            var run = i + 1;
            while (run < _decisions.Length && _decisions[run].Point == _decisions[i].Point && _decisions[run].Choice == _decisions[i].Choice) run++;
            if (text.Length > 0) text.Append(' ');
            text.Append(Letters[(int)_decisions[i].Point]).Append(CultureInfo.InvariantCulture, $"{_decisions[i].Choice}");
            if (run - i > 1) text.Append(CultureInfo.InvariantCulture, $"*{run - i}");
            i = run;
        }

        return text.ToString();
    }
}
