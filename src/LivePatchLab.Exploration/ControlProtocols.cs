using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>Protocols that are wrong on purpose. Whoever lets them pass would let anything pass.</summary>
public static class ControlProtocols
{
    /// <summary>Rewrites the instruction byte by byte where CPUs may be executing it, with no INT3 and no sync. Torn under every fetch model, the ideal one too.</summary>
    public static IPatchProtocol ByteByByte { get; } = new ByteByByteProtocol();

    private sealed class ByteByByteProtocol : IPatchProtocol, IPatcher
    {
        public string Name => "byte by byte";

        public string Summary => "a control: every byte stored for itself, with nothing else";

        public bool MaySkip => false;

        public Invariants PromisesUnder(FetchModel model) => Invariants.NothingTorn | Invariants.NewAfterReturn;

        public IPatcher Attach(LinuxKernel kernel) => this;

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            foreach (var site in sites)
            {
                for (var i = 0; i < site.Length; i++)
                    if (site.NewCode is { } code && code[i] != site.OldCode[i]) yield return kernel.TextPoke(site.Address + i, code.AsMemory(i, 1));
                site.IsFinished = true;
            }
        }
    }
}
