using LivePatchLab.Exploration;
using LivePatchLab.Patching;
using static LivePatchLab.Notebooks.ViewBuilder;

namespace LivePatchLab.Notebooks;

/// <summary>What an exploration found: the verdict in one line, and what it rests on; for a violation the run that shows it.</summary>
internal static class ExplorationResultView
{
    public static HtmlFragment Of(ExplorationResult result)
    {
        var view = new ViewBuilder().Headline(ExplorationSummary.Of(result), "")
            .Paragraph($"{result.Scenario}, under {result.Model}, by {result.Strategy}; checked: {result.Checked.Show()}");
        var picture = result.Counterexample is { } example ? CounterexampleView.AddTo(view, example) : null;
        if (result.Control is { } control)
            view.Paragraph($"The control, {control.Scenario}: {ExplorationSummary.Of(control)}");
        else if (result.Verdict == Verdict.Pass)
            view.Alarm("No control was run: nothing shows that this search would have found a fault.");
        if (result.NotProven.Count > 0)
        {
            view.Part($"<p>What this does not prove:</p><ul>{string.Concat(result.NotProven.Select(sentence => $"<li>{HtmlText.Escape(sentence)}</li>"))}</ul>",
                $"What this does not prove:\n{string.Join('\n', result.NotProven.Select(sentence => $"- {sentence}"))}");
        }

        return view.Footnote($"{(result.Verdict == Verdict.Violation ? Plural(result.Executions, "execution") : ExplorationSummary.Covered(result))}; {Plural(result.Transitions, "transition")}").Build() with { Picture = picture };
    }
}
