using System.Runtime.CompilerServices;
using LivePatchLab.Exploration;
using LivePatchLab.Linux;
using LivePatchLab.Patching;

namespace LivePatchLab.Notebooks;

/// <summary>What cells call to explore; every host brings it in by <c>using static</c>, so that they write <c>Explore(…)</c>.</summary>
public static class Exploring
{
    /// <summary>
    /// Asks whether a protocol keeps its promises in every execution: <c>Explore(Protocols.TextPokeBp).Under(FetchModel.SdmWorst)</c>. Nothing runs until the result is
    /// asked for: by <c>.Run()</c>, or by ending a cell with it, which runs it and shows the result. Each time it is shown it runs anew, and comes to the same.
    /// </summary>
    /// <param name="protocol">One of the lab's, or of one's own.</param>
    /// <param name="shape">What is patched, and who comes by; left out: one call that crosses a chunk, and one CPU that executes it once.</param>
    public static ExplorationPlan Explore(IPatchProtocol protocol, PatchShape? shape = null)
        => ExplorationPlan.Of(IsOfTheLab(protocol) ? protocol : new UserProtocol(protocol), shape);

    /// <summary>
    /// The same for a protocol that is written in a cell, as a method that yields steps: <c>IEnumerable&lt;KernelStep&gt; Mine(PatchContext kernel, IReadOnlyList&lt;PatchSite&gt; sites)</c>,
    /// then <c>Explore(Mine)</c>.
    /// </summary>
    /// <param name="steps">Its steps.</param>
    /// <param name="handler">Its #BP handler, where it uses INT3.</param>
    /// <param name="shape">What is patched, and who comes by.</param>
    /// <param name="expression">Filled in by the compiler: what is written for the steps, which names the protocol.</param>
    public static ExplorationPlan Explore(PatchSteps steps, Int3Handler? handler = null, PatchShape? shape = null, [CallerArgumentExpression(nameof(steps))] string expression = "")
        => Explore(new IteratorProtocol(CSharpSession.IsVariableName(expression) ? expression : "of this cell", steps, handler), shape);

    /// <summary>Asks it of a scenario of one's own.</summary>
    /// <param name="make">Makes it; called once for each thread that explores.</param>
    public static ExplorationPlan Explore(Func<Scenario> make) => ExplorationPlan.Of(make);

    /// <summary>Runs it for a cell: tells the host how far it is, and stops with the cell.</summary>
    /// <exception cref="OperationCanceledException">The cell was interrupted.</exception>
    internal static ExplorationResult RunIn(ICellOutput? output, ExplorationPlan plan, CancellationToken cancellation)
        // A search that can end by itself does so long before its limit, so of that nothing can be said to be left.
        => plan.Run(cancellation, at => output?.Report(new(at.Executions, plan.Strategy.IsRandom ? at.ExecutionsMax : 0, "executions")));

    // Code of the lab needs no watching, and is faster without. An iterator may be the user's, whoever wraps it.
    private static bool IsOfTheLab(IPatchProtocol protocol)
        => protocol is not IteratorProtocol && protocol.GetType().Assembly.GetName().Name?.StartsWith("LivePatchLab.", StringComparison.Ordinal) == true && protocol is not UserProtocol;
}
