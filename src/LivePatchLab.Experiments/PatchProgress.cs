using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>How far a patching operation is. A protocol that goes over its list several times begins anew with each pass.</summary>
/// <param name="Pass">The phase in which the pass began, or "sites" where a protocol has a single pass.</param>
/// <param name="Done">Sites that the pass has come to.</param>
/// <param name="Sites">Sites in all.</param>
public readonly record struct PatchProgress(string Pass, int Done, int Sites);

/// <summary>Makes progress of the records that a protocol comes to, one after the other.</summary>
internal sealed class PassCounter(PhaseAccounts accounts, int sites, Action<PatchProgress> tell)
{
    /// <summary>Large enough for the telling to cost nothing beside the patching.</summary>
    private const int Interval = 128;

    private string _pass = "";
    private int _done;

    /// <summary>The patcher goes on to its next record.</summary>
    public void Count()
    {
        if (_done == 0) _pass = accounts.Current is { Length: > 0 } phase ? phase : "sites";
        _done++;
        if (_done % Interval == 0 || _done == sites) tell(new(_pass, _done, sites));
        if (_done == sites) _done = 0;
    }
}
