using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>Protocols that are wrong on purpose. Whoever lets them pass would let anything pass.</summary>
public static class ControlProtocols
{
    /// <summary>Rewrites the instruction byte by byte where CPUs may be executing it, with no INT3 and no sync. Torn under every fetch model, the ideal one too.</summary>
    public static IPatchProtocol ByteByByte { get; } = new ByteByByteProtocol();

    /// <summary>A protocol that is called with interrupts off, and synchronises like that: two patchers, or a patcher and whoever holds interrupts off, wait for each other.</summary>
    public static IPatchProtocol WithInterruptsOff(IPatchProtocol protocol) => new InterruptsOff(protocol);

    /// <summary>A protocol whose handler takes every INT3 for its own, other people's too, and forgets it.</summary>
    public static IPatchProtocol TakingAllInt3s(IPatchProtocol protocol) => new AllInt3s(protocol);

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

    private sealed class InterruptsOff(IPatchProtocol protocol) : IPatchProtocol
    {
        public string Name => $"{protocol.Name} with interrupts off";

        public string Summary => $"a control: {protocol.Summary}; it is called with interrupts off, and a sync comes first";

        public bool MaySkip => protocol.MaySkip;

        public Invariants PromisesUnder(FetchModel model) => protocol.PromisesUnder(model);

        public IPatcher Attach(LinuxKernel kernel) => new Patcher(protocol.Attach(kernel));

        private sealed class Patcher(IPatcher whole) : IPatcher
        {
            public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
            {
                yield return InterruptFlag.Off;
                yield return kernel.RunSync();
                yield return KernelStep.Call(whole.Apply(kernel, sites));
                yield return InterruptFlag.On;
            }
        }
    }

    private sealed class AllInt3s(IPatchProtocol protocol) : IPatchProtocol
    {
        public string Name => $"{protocol.Name} taking all int3s";

        public string Summary => $"a control: {protocol.Summary}; and its handler consumes every INT3 that is not its own";

        public bool MaySkip => protocol.MaySkip;

        public Invariants PromisesUnder(FetchModel model) => protocol.PromisesUnder(model);

        public IPatcher Attach(LinuxKernel kernel)
        {
            var patcher = protocol.Attach(kernel);
            kernel.RegisterInt3Handler(Take);
            return patcher;
        }

        private static IEnumerable<KernelStep> Take(Cpu cpu, TrapFrame regs)
        {
            regs.Consumed = true;
            yield break;
        }
    }
}
