using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>What a CPU was seen to do that no CPU may do.</summary>
public enum ViolationKind
{
    /// <summary>It executed, where an instruction of a site begins, one that is neither an old one, nor a new one, nor INT3.</summary>
    TornInstruction,

    /// <summary>It executed from the middle of a site, where neither an old instruction nor a new one begins.</summary>
    InsideSite,

    /// <summary>It executed the old instruction, or INT3, at a site after its patching was complete.</summary>
    StaleAfterCompletion,

    /// <summary>It took an exception that nobody consumed.</summary>
    UnhandledException,

    /// <summary>The text is not what was asked for.</summary>
    WrongText,

    /// <summary>CPUs and patcher wait for each other.</summary>
    Deadlock,
}

/// <summary>One thing seen that must not happen.</summary>
/// <param name="Kind">What it was.</param>
/// <param name="Cpu">Where.</param>
/// <param name="ClockCycles">When, by that CPU's clock.</param>
/// <param name="Address">The instruction.</param>
/// <param name="Detail">In words, with the bytes.</param>
public sealed record Violation(ViolationKind Kind, CpuId Cpu, long ClockCycles, GuestAddress Address, string Detail)
{
    public override string ToString() => $"{Cpu} at cycle {ClockCycles}: {Detail}";
}

/// <summary>
/// Looks at every instruction that a CPU fetches from changing code, and says when it is one that a site may not show. Code that
/// no longer changes needs no looking at: all CPUs see what is in memory, and that is compared at the end. Not seen is a CPU that
/// stands between two instructions of a site until nothing changes any more; exploration sees that.
/// </summary>
public sealed class SiteWatch : IDisposable
{
    private readonly SmpMachine _machine;
    private readonly IReadOnlyList<PatchSite> _sites;
    private Dictionary<ulong, PatchSite>? _byAddress;
    private int _lengthMax;

    public SiteWatch(SmpMachine machine, IReadOnlyList<PatchSite> sites)
    {
        _machine = machine;
        _sites = sites;
        machine.Events.DirtyFetched += Look;
    }

    /// <summary>What was seen first, or null. The machine stops there.</summary>
    public Violation? Violation { get; private set; }

    /// <summary>Set once the patcher has returned: from then on only the new instructions may be seen.</summary>
    public bool IsComplete { get; set; }

    /// <summary>Fetches of a site from changing code, by what was fetched.</summary>
    public long OldFetches { get; private set; }

    public long Int3Fetches { get; private set; }

    public long NewFetches { get; private set; }

    /// <summary>Fetches of a protocol's own guard, where that is not INT3.</summary>
    public long GuardFetches { get; private set; }

    /// <summary>Stops looking.</summary>
    public void Dispose() => _machine.Events.DirtyFetched -= Look;

    private void Look(CpuId cpu, long clockCycles, GuestAddress rip, ReadOnlySpan<byte> bytes, FetchCoherence coherence)
    {
        var sites = _byAddress ??= Index();
        if (sites.TryGetValue(rip.Value, out var site)) LookAtSite(site, cpu, clockCycles, bytes);
        else LookBehindSites(sites, cpu, clockCycles, rip, bytes);
    }

    /// <summary>Where nobody executes code that changes, as on halted CPUs, nobody looks a site up.</summary>
    private Dictionary<ulong, PatchSite> Index()
    {
        _lengthMax = _sites.Count == 0 ? 0 : _sites.Max(s => s.Length);
        return _sites.ToDictionary(s => s.Address.Value);
    }

    private void LookAtSite(PatchSite site, CpuId cpu, long clockCycles, ReadOnlySpan<byte> bytes)
    {
        var fetch = site.Judge(0, bytes);
        switch (fetch)
        {
            case SiteFetch.New:
                NewFetches++;
                return;
            case SiteFetch.Int3:
                Int3Fetches++;
                break;
            case SiteFetch.Guard:
                GuardFetches++;
                break;
            case SiteFetch.Old:
                OldFetches++;
                break;
            default:
                Report(ViolationKind.TornInstruction, cpu, clockCycles, site.Address, $"executes {Hex(bytes)} at {site.Address}, which is neither the old {Hex(site.OldCode)} nor the new {Hex(site.NewCode ?? site.OldCode)}");
                return;
        }

        LookIfComplete(site, 0, fetch, cpu, clockCycles, bytes);
    }

    /// <summary>Behind its first byte nobody executes a site of one instruction; of several, those that are the old code's or the new one's at this place.</summary>
    private void LookBehindSites(Dictionary<ulong, PatchSite> sites, CpuId cpu, long clockCycles, GuestAddress rip, ReadOnlySpan<byte> bytes)
    {
        for (var back = 1; back < _lengthMax; back++)
        {
            if (!sites.TryGetValue(rip.Value - (ulong)back, out var site) || back >= site.Length) continue;
            var fetch = site.Judge(back, bytes);
            if (fetch == SiteFetch.Torn) ReportBehind(site, back, cpu, clockCycles, bytes);
            else if (fetch != SiteFetch.New) LookIfComplete(site, back, fetch, cpu, clockCycles, bytes);
            return;
        }
    }

    private void ReportBehind(PatchSite site, int offset, CpuId cpu, long clockCycles, ReadOnlySpan<byte> bytes)
    {
        var begins = site.OldInstructions.LengthAt(offset) > 0 || site.NewInstructions.LengthAt(offset) > 0;
        var what = begins ? $"which is of neither the old {Hex(site.OldCode)} nor the new {Hex(site.NewCode ?? site.OldCode)}" : "inside the site";
        Report(begins ? ViolationKind.TornInstruction : ViolationKind.InsideSite, cpu, clockCycles, site.Address + offset, $"executes {Hex(bytes)} at {site.Address}+{offset}, {what}");
    }

    private void LookIfComplete(PatchSite site, int offset, SiteFetch fetch, CpuId cpu, long clockCycles, ReadOnlySpan<byte> bytes)
    {
        if (!IsComplete || site.NewCode is null) return;
        var what = fetch switch { SiteFetch.Int3 => "int3", SiteFetch.Guard => "the guard " + Hex(bytes), _ => "the old " + Hex(bytes) };
        Report(ViolationKind.StaleAfterCompletion, cpu, clockCycles, site.Address + offset, $"executes {what} at {site.Address}{(offset > 0 ? $"+{offset}" : "")} after the patching was complete");
    }

    private void Report(ViolationKind kind, CpuId cpu, long clockCycles, GuestAddress address, string detail)
    {
        Violation ??= new(kind, cpu, clockCycles, address, detail);
        _machine.RequestStop();
    }

    private static string Hex(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(bytes);
}
