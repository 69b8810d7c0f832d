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

    public Invariants PromisesUnder(FetchModel model) => protocol.PromisesUnder(model);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(protocol.Attach(kernel), phase);

    private sealed class Patcher(IPatcher whole, string phase) : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            return Filter(whole.Apply(kernel, sites), kernel.Kernel.Machine.Accounts);
        }

        private IEnumerable<KernelStep> Filter(IEnumerable<KernelStep> steps, PhaseAccounts accounts)
        {
            foreach (var step in steps)
            {
                if (step is Subroutine call) yield return KernelStep.Call(Filter(call.Steps, accounts));
                else if (step is not RunSync || accounts.Current != phase) yield return step;
            }
        }
    }
}
