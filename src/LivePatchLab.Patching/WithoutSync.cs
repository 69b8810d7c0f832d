using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>A protocol made wrong on purpose: one of its syncs is left out. The control without which no "safe" counts.</summary>
/// <param name="protocol">The protocol as it should be.</param>
/// <param name="phase">The phase whose sync is left out.</param>
public sealed class WithoutSync(IPatchProtocol protocol, string phase) : IPatchProtocol
{
    public string Name => $"{protocol.Name} without the sync after {phase}";

    public string Summary => $"{protocol.Summary}; the sync after '{phase}' is left out on purpose";

    public bool MaySkip => protocol.MaySkip;

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(protocol.Attach(kernel), phase);

    private sealed class Patcher(IPatcher whole, string phase) : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            var current = "";
            foreach (var step in whole.Apply(kernel, sites))
            {
                if (step is PhaseMark mark) current = mark.Phase;
                if (step is not RunSync || current != phase) yield return step;
            }
        }
    }
}
