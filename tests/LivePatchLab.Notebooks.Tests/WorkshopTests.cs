using System.Text.RegularExpressions;

namespace LivePatchLab.Notebooks.Tests;

/// <summary>The workshop as its readers do it: handed out unsolved, and solved by the solutions that it hides.</summary>
[Collection("Sessions")]
public sealed partial class WorkshopTests
{
    private const int Exercises = 4;

    private readonly LabSession _lab = new();

    private readonly NotebookDocument _workshop = NotebookDocument.Read(Path.Combine(LabSession.Root, "notebooks", "07-break-it.ipynb"));

    [Fact]
    public async Task Every_exercise_is_handed_out_unsolved_and_says_what_is_wrong()
    {
        var said = await Checks(new Dictionary<int, string>());
        for (var exercise = 1; exercise <= Exercises; exercise++) said[exercise - 1].ShouldMatch($@"^exercise {exercise}\b.*: not yet\. .{{40,}}");
    }

    [Fact]
    public async Task Every_exercise_is_solved_by_its_own_solution()
    {
        var solutions = _workshop.Cells.SelectMany(cell => Solutions().Matches(cell.Source)).ToDictionary(match => int.Parse(match.Groups["exercise"].Value, System.Globalization.CultureInfo.InvariantCulture), match => match.Groups["code"].Value);
        solutions.Keys.Order().ShouldBe(Enumerable.Range(1, Exercises));
        var said = await Checks(solutions);
        for (var exercise = 1; exercise <= Exercises; exercise++) said[exercise - 1].ShouldStartWith($"exercise {exercise}: solved");
    }

    /// <summary>What a hurried student would try is told what it lacks.</summary>
    [Theory]
    [InlineData(1, "    // Your turn.", "    yield return kernel.TextPoke(site.Address, site.NewCode);\n    yield return kernel.RunSync();", "exercise 1: not yet. Under amd-async")]
    [InlineData(2, "FetchModel.IntelPractice", "FetchModel.SdmWorst", "exercise 2: not yet. In sdm-worst not even a quadword")]
    [InlineData(2, "FetchModel.IntelPractice", "FetchModel.ArmLike", "exercise 2: not yet. In arm-like instruction caches are not coherent")]
    [InlineData(4, "yield return stands.SpinUntil(\"is false\", value => !value);", "yield return new Delay(1, \"hope\");", "exercise 4: not yet. ")]
    public async Task A_wrong_answer_is_told_from_a_right_one(int exercise, string from, string to, string said)
    {
        var code = _workshop.Cells.Single(cell => cell.HasTag($"exercise-{exercise}")).Source;
        code.ShouldContain(from);
        (await Checks(new Dictionary<int, string> { [exercise] = code.Replace(from, to, StringComparison.Ordinal) }))[exercise - 1].ShouldStartWith(said);
    }

    /// <summary>Runs all code cells, some exercises replaced by an answer, and gives what the checks say.</summary>
    private async Task<List<string>> Checks(Dictionary<int, string> answers)
    {
        var said = new List<string>();
        foreach (var cell in _workshop.Cells.Where(cell => cell.Kind == CellKind.Code))
        {
            var answer = answers.Where(pair => cell.HasTag($"exercise-{pair.Key}")).Select(pair => pair.Value).FirstOrDefault();
            var text = await _lab.Text(answer ?? cell.Source);
            if (Enumerable.Range(1, Exercises).Any(exercise => cell.HasTag($"check-{exercise}"))) said.Add(text);
        }

        said.Count.ShouldBe(Exercises);
        return said;
    }

    [GeneratedRegex(@"<summary>Solution (?<exercise>\d)</summary>\s+```csharp\n(?<code>.*?)\n```", RegexOptions.Singleline)]
    private static partial Regex Solutions();
}
