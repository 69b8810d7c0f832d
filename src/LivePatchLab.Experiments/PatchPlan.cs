using LivePatchLab.Linux;
using LivePatchLab.Patching;

namespace LivePatchLab.Experiments;

/// <summary>A patching operation that any machine of the lab can be asked to do. Immutable; each run leaves its mark on the machine only.</summary>
/// <param name="Selection">Which sites.</param>
/// <param name="Protocol">How.</param>
public sealed record PatchPlan(PatchSelection Selection, IPatchProtocol Protocol)
{
    /// <summary>True for nop to call, as when tracing is turned on; false for the way back.</summary>
    public bool Enable { get; init; } = true;

    /// <summary>The same, from call back to nop.</summary>
    public PatchPlan Back() => this with { Enable = false };

    /// <summary>Patches, while the other CPUs go on.</summary>
    /// <exception cref="BadInputException">The machine has fewer sites, or stopped in the middle of an earlier operation.</exception>
    public PatchRun Run(LabMachine machine, CancellationToken cancellation = default) => Run(machine, null, cancellation);

    /// <summary>As <see cref="Run(LabMachine, CancellationToken)"/>, and tells how far it is.</summary>
    /// <inheritdoc cref="LabMachine.Patch" path="/param[@name='progress']"/>
    public PatchRun Run(LabMachine machine, Action<PatchProgress>? progress, CancellationToken cancellation)
        => machine.Switch(Protocol, SitesOn(machine), Enable, () => machine.Machine.Hash(), progress, cancellation);

    /// <summary>Patches, and writes down what every CPU does meanwhile. Made for few CPUs and few sites: each instruction becomes a row.</summary>
    /// <exception cref="BadInputException">As for <see cref="Run(LabMachine, CancellationToken)"/>.</exception>
    public PatchTrace Trace(LabMachine machine, CancellationToken cancellation = default)
    {
        using var recorder = new TraceRecorder(machine, SitesOn(machine)[0]);
        return recorder.Finish(Run(machine, cancellation));
    }

    /// <summary>Patches, and keeps a timeline of it: what each CPU did, the IPIs, the phases, and the bytes of one site. Made for some thousand events; what comes after is counted only.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="site">Whose bytes are followed; counted from 0 among the sites that are patched.</param>
    /// <param name="cancellation">Leaves the machine in the middle of it.</param>
    /// <exception cref="BadInputException">As for <see cref="Run(LabMachine, CancellationToken)"/>, or there is no such site.</exception>
    public PatchRecording Record(LabMachine machine, int site = 0, CancellationToken cancellation = default)
    {
        var sites = SitesOn(machine);
        if (site < 0 || site >= sites.Count) throw new BadInputException($"site {site}: the patch has sites 0 to {sites.Count - 1}");
        using var recorder = new PatchRecorder(machine, sites[site]);
        return recorder.Finish(Run(machine, cancellation));
    }

    public override string ToString() => $"{Protocol.Name} on {Selection}, {(Enable ? "nop to call" : "call to nop")}";

    private IReadOnlyList<PatchSite> SitesOn(LabMachine machine)
    {
        if (machine.Kernel.TextMutex.Owner is not null)
            throw new BadInputException("this machine has stopped in the middle of an earlier patch, and its text_mutex is held; make a new machine");
        var all = machine.SitesFor(Enable);
        if (Selection.Sites is not { } wanted) return all;
        return wanted <= all.Count
            ? [.. all.Take(wanted)]
            : throw new BadInputException($"{wanted} sites: the machine has {all.Count}; ask for fewer, or make a machine with more");
    }
}
