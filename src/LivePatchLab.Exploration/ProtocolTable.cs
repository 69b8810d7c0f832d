using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// Every protocol of the lab under every fetch model that has a name, by depth-first search; and which of the syncs of the kernel's protocols is needed under which.
/// Cells are explored in parallel, each by one thread, so that a table is the same wherever it is made.
/// </summary>
public static class ProtocolTable
{
    public const long ExecutionsMaxDefault = 60_000;

    /// <summary>A control that needs more than this is not telling, and another one is tried.</summary>
    private const long ControlExecutionsMax = 5_000;

    /// <summary>Inside a word, across two words of a line, across two lines.</summary>
    public static IReadOnlyList<int> SiteOffsets { get; } = [0, 5, 61];

    /// <summary>Those of which each sync is tried: the seed's, the one it built on, the one with four, and that of today.</summary>
    public static IReadOnlyList<IPatchProtocol> OfSyncs { get; } = [Protocols.TextPokeBp, Protocols.TextPokeBpList, Protocols.TextPokeBpTwoPhase, Protocols.SmpTextPoke];

    /// <summary>The whole table, protocol by protocol, model by model.</summary>
    /// <param name="executionsMax">What a cell may take; one that would take more is <see cref="Verdict.Inconclusive"/>.</param>
    /// <param name="cancellation">Ends it with an <see cref="OperationCanceledException"/>.</param>
    public static IReadOnlyList<ProtocolVerdict> Explore(long executionsMax = ExecutionsMaxDefault, CancellationToken cancellation = default)
        => InParallel([.. Protocols.All.SelectMany(protocol => ShapesOf(protocol).SelectMany(shape => FetchModel.Presets.Select(model => (protocol, shape, model))))], cell => Explore(cell.protocol, cell.shape, cell.model, executionsMax, cancellation), cancellation);

    /// <summary>One cell: what suits the protocol, the first of it where there is more.</summary>
    public static ProtocolVerdict Explore(IPatchProtocol protocol, FetchModel model, long executionsMax = ExecutionsMaxDefault, CancellationToken cancellation = default)
        => Explore(protocol, ShapeOf(protocol), model, executionsMax, cancellation);

    /// <summary>One cell.</summary>
    public static ProtocolVerdict Explore(IPatchProtocol protocol, PatchShape shape, FetchModel model, long executionsMax = ExecutionsMaxDefault, CancellationToken cancellation = default)
    {
        var promised = protocol.PromisesUnder(model);
        var best = FetchModel.Presets.Aggregate(Invariants.None, (all, preset) => all | protocol.PromisesUnder(preset));
        ExplorationPlan Plan(IPatchProtocol explored, PatchShape of, Invariants what) => ExplorationPlan.Of(() => new PatchScenario(explored, of) { CheckedOnly = what }).Under(model).Within(executionsMax);

        ExplorationResult? result = null;
        if (promised != Invariants.None)
        {
            var (control, controlShape) = ControlOf(protocol, shape, model, promised, cancellation);
            result = Plan(protocol, shape, promised).WithControl(() => new PatchScenario(control, controlShape) { CheckedOnly = promised }).Run(cancellation);
        }

        var beyond = best & ~promised;
        return new(protocol.Name, model, shape, promised, result, beyond == Invariants.None ? null : Plan(protocol, shape, beyond).Run(cancellation));
    }

    /// <summary>Each sync of <see cref="OfSyncs"/> left out, at each of <see cref="SiteOffsets"/>, under each model.</summary>
    public static IReadOnlyList<SyncVerdict> ExploreSyncs(long executionsMax = ExecutionsMaxDefault, CancellationToken cancellation = default)
    {
        var cells = from protocol in OfSyncs
                    from phase in SyncPhases.Of(protocol, ShapeOf(protocol))
                    from offset in SiteOffsets
                    from model in FetchModel.Presets
                    select (protocol, phase, offset, model);
        return InParallel([.. cells], cell => ExploreWithout(cell.protocol, cell.phase, cell.offset, cell.model, executionsMax, cancellation), cancellation);
    }

    /// <summary>A protocol with one sync left out. What is asked is what can be observed: not I3 and I4, which are about the syncs themselves.</summary>
    public static SyncVerdict ExploreWithout(IPatchProtocol protocol, string phase, int siteOffset, FetchModel model, long executionsMax = ExecutionsMaxDefault, CancellationToken cancellation = default)
    {
        var shape = ShapeOf(protocol) with { SiteOffset = siteOffset };
        var asked = protocol.PromisesUnder(model) & ~Checkers.OfMeans;
        Func<Scenario> Of(IPatchProtocol explored) => () => new PatchScenario(explored, shape) { CheckedOnly = asked };
        var control = asked.HasFlag(Invariants.NothingTorn) ? ControlProtocols.ByteByByte : ControlProtocols.WithInterruptsOff(protocol);
        return new(protocol.Name, phase, siteOffset, model, ExplorationPlan.Of(Of(protocol.Without(phase))).Under(model).Within(executionsMax).WithControl(Of(control)).Run(cancellation));
    }

    /// <summary>All that is tried of a protocol: one thing for most, and each way for one that does not go back as it came.</summary>
    public static IReadOnlyList<PatchShape> ShapesOf(IPatchProtocol protocol) => ShapeOf(protocol) switch
    {
        { To: SiteCode.XrayOn } on => [on, on with { From = SiteCode.XrayOn, To = SiteCode.XrayOff }],
        var one => [one],
    };

    /// <summary>One call that becomes another; of protocols that refuse such a site, what suits them.</summary>
    public static PatchShape PlainShapeOf(IPatchProtocol protocol) => protocol is HotSpotSelfLoop or OneByteFlip or XraySled or DataSlot ? ShapeOf(protocol) : new();

    /// <summary>What suits a protocol: most change any instruction, the worse placed the better.</summary>
    public static PatchShape ShapeOf(IPatchProtocol protocol)
    {
        const int Worst = 61, WorstEven = 62;
        return protocol switch
        {
            HotSpotSelfLoop => new() { SiteOffset = 0, EntersByJump = true },
            WordPatch => new() { SiteOffset = Worst, EntersByJump = true },
            OneByteFlip => new() { SiteOffset = Worst, EntersByJump = true, From = SiteCode.TestEax, To = SiteCode.JumpNew },
            XraySled => new() { SiteOffset = WorstEven, EntersByJump = true, IsUser = true, From = SiteCode.XrayEmpty, To = SiteCode.XrayOn },
            DataSlot => new() { From = SiteCode.SlotOld, To = SiteCode.SlotNew, ForeignInt3 = true },
            NaClDyncode => new() { SiteOffset = Worst, EntersByJump = true, IsUser = true },
            UprobeInt3Update => new() { SiteOffset = Worst, From = SiteCode.Nop, IsUser = true },
            WithDeferredSync => new() { SiteOffset = Worst, UserMode = UserModeEntry.SitesBehindFlush },
            _ => new() { SiteOffset = Worst, ForeignInt3 = protocol.PromisesUnder(FetchModel.Ideal).HasFlag(Invariants.ForeignInt3Survives) },
        };
    }

    /// <summary>The most telling wrong twin: the protocol without the first of its syncs that the model needs; where there is none, one whose failure is promised not to happen.</summary>
    private static (IPatchProtocol Protocol, PatchShape Shape) ControlOf(IPatchProtocol protocol, PatchShape shape, FetchModel model, Invariants promised, CancellationToken cancellation)
    {
        foreach (var (candidate, itsShape) in CandidatesOf(protocol, shape))
        {
            var plan = ExplorationPlan.Of(() => new PatchScenario(candidate, itsShape) { CheckedOnly = promised }).Under(model).Within(ControlExecutionsMax);
            if (plan.Run(cancellation).Verdict == Verdict.Violation) return (candidate, itsShape);
        }

        if (!promised.HasFlag(Invariants.NothingTorn)) return (ControlProtocols.WithInterruptsOff(protocol), shape);

        // Where one byte is all that differs, no order of the bytes is wrong: the twin does it to an instruction of which every byte differs.
        return (ControlProtocols.ByteByByte, shape.From == SiteCode.TestEax ? shape with { From = SiteCode.CallOld, To = SiteCode.CallNew } : shape);
    }

    private static IEnumerable<(IPatchProtocol Protocol, PatchShape Shape)> CandidatesOf(IPatchProtocol protocol, PatchShape shape)
    {
        if (shape.UserMode == UserModeEntry.SitesBehindFlush) yield return (protocol, shape with { UserMode = UserModeEntry.SitesBeforeFlush });
        foreach (var phase in SyncPhases.Of(protocol, shape)) yield return (protocol.Without(phase), shape);
    }

    private static TResult[] InParallel<T, TResult>(T[] cells, Func<T, TResult> explore, CancellationToken cancellation)
    {
        var results = new TResult[cells.Length];
        Parallel.For(0, cells.Length, new ParallelOptions { CancellationToken = cancellation, MaxDegreeOfParallelism = Environment.ProcessorCount }, i => results[i] = explore(cells[i]));
        return results;
    }
}
