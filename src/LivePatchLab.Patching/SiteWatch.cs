using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>What a CPU was seen to do that no CPU may do.</summary>
public enum ViolationKind
{
    /// <summary>It executed, at a site, an instruction that is neither the old, nor the new, nor INT3.</summary>
    TornInstruction,

    /// <summary>It executed from the middle of a site.</summary>
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
/// no longer changes needs no looking at: all CPUs see what is in memory, and that is compared at the end.
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
        if (site.NewCode is { } newCode && bytes.SequenceEqual(newCode))
        {
            NewFetches++;
            return;
        }

        var isInt3 = bytes[0] == BreakpointState.Int3;
        var isGuard = !isInt3 && !site.Guard.IsEmpty && bytes.SequenceEqual(site.Guard.Span);
        if (isInt3) Int3Fetches++;
        else if (isGuard) GuardFetches++;
        else if (bytes.SequenceEqual(site.OldCode)) OldFetches++;
        else
        {
            Report(ViolationKind.TornInstruction, cpu, clockCycles, site.Address, $"executes {Hex(bytes)} at {site.Address}, which is neither the old {Hex(site.OldCode)} nor the new {Hex(site.NewCode ?? site.OldCode)}");
            return;
        }

        if (IsComplete && site.NewCode is not null)
            Report(ViolationKind.StaleAfterCompletion, cpu, clockCycles, site.Address, $"executes {(isInt3 ? "int3" : isGuard ? "the guard " + Hex(bytes) : "the old " + Hex(bytes))} at {site.Address} after the patching was complete");
    }

    private void LookBehindSites(Dictionary<ulong, PatchSite> sites, CpuId cpu, long clockCycles, GuestAddress rip, ReadOnlySpan<byte> bytes)
    {
        for (var back = 1; back < _lengthMax; back++)
        {
            if (!sites.TryGetValue(rip.Value - (ulong)back, out var site) || back >= site.Length) continue;
            Report(ViolationKind.InsideSite, cpu, clockCycles, rip, $"executes {Hex(bytes)} at {site.Address}+{back}, inside the site");
            return;
        }
    }

    private void Report(ViolationKind kind, CpuId cpu, long clockCycles, GuestAddress address, string detail)
    {
        Violation ??= new(kind, cpu, clockCycles, address, detail);
        _machine.RequestStop();
    }

    private static string Hex(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(bytes);
}
