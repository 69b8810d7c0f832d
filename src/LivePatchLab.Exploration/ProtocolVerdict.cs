using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>One cell of the table of protocols and fetch models.</summary>
/// <param name="Protocol">Its name.</param>
/// <param name="Model">The fetch model.</param>
/// <param name="Shape">What was patched, and who came by: what suits the protocol.</param>
/// <param name="Promised">What the protocol promises under the model, and was checked.</param>
/// <param name="Result">Whether that holds, with the control of the same run; null where nothing is promised.</param>
/// <param name="Beyond">What it promises under other models and not under this one: whether that holds here all the same; null where it promises as much here.</param>
public sealed record ProtocolVerdict(string Protocol, FetchModel Model, PatchShape Shape, Invariants Promised, ExplorationResult? Result, ExplorationResult? Beyond)
{
    /// <summary>What the row of the table is called: the protocol, and which way it goes where both ways have a row.</summary>
    public string Row => Shape.To == SiteCode.XrayOff ? $"{Protocol}, off" : Protocol;

    /// <summary>Of what is promised. Where nothing is, nothing was asked, and nothing is known.</summary>
    public Verdict Verdict => Result?.Verdict ?? Verdict.Inconclusive;

    /// <summary>The promise that does not hold, or none.</summary>
    public Invariants Broken => Result?.Counterexample?.Violation.Invariant ?? Invariants.None;

    /// <summary>What does not hold and is not promised here either, or none.</summary>
    public Invariants NotPromisedAndViolated => Beyond?.Counterexample?.Violation.Invariant ?? Invariants.None;

    /// <summary>"Pass", "violates I5", "Pass; not promised: I2", "nothing promised: I2".</summary>
    public string Show()
    {
        var promised = Verdict switch
        {
            Verdict.Violation => $"violates {Broken.Show()}",
            _ when Result is null => "nothing promised",
            var verdict => verdict.ToString(),
        };
        return Beyond switch
        {
            null => promised,
            { Counterexample: not null } => $"{promised}; unpromised {NotPromisedAndViolated.Show()} fails",
            { IsExhaustive: true } => $"{promised}; unpromised {Beyond.Checked.Show()} not seen to fail",
            _ => $"{promised}; unpromised {Beyond.Checked.Show()} undecided",
        };
    }
}

/// <summary>Whether a sync of a protocol is needed: what happens without it.</summary>
/// <param name="Protocol">The protocol's name.</param>
/// <param name="Phase">The phase whose sync was left out.</param>
/// <param name="SiteOffset">Where in its line the site lies.</param>
/// <param name="Model">The fetch model.</param>
/// <param name="Result">What came out without the sync.</param>
public sealed record SyncVerdict(string Protocol, string Phase, int SiteOffset, FetchModel Model, ExplorationResult Result)
{
    /// <summary>True where the protocol with all its syncs promises nothing of what it is for: there is nothing that one of them could keep.</summary>
    public bool IsPointless => !Result.Checked.HasFlag(Invariants.NothingTorn);

    /// <summary>True when something is violated without it, false when nothing is, null when it is not known, or there is no point in asking.</summary>
    public bool? IsNeeded => Result.Verdict switch
    {
        Verdict.Violation => true,
        Verdict.Pass when !IsPointless => false,
        _ => null,
    };

    /// <summary>What is violated without it, or none.</summary>
    public Invariants Violated => Result.Counterexample?.Violation.Invariant ?? Invariants.None;

    public string Show() => IsNeeded switch
    {
        true => Violated.Show(),
        false => "not needed",
        _ when IsPointless => "-",
        _ => "undecided",
    };
}
