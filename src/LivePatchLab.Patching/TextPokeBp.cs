using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>P2, one site at a time: text_poke_bp() of Linux 3.12 (arch/x86/kernel/alternative.c, commit fd4363fff3d9), three syncs a site.</summary>
/// <remarks>
///   patcher                      any other CPU
///   publish the globals; wmb
///   site[0]   = int3; sync       from here on: traps, and the handler sends it behind the site
///   site[1..] = new;  sync       "very likely not necessary" on Intel, says the commit
///   site[0]   = new;  sync       nobody can trap here any more
///   retract; wmb
/// Old bytes are not checked, and only the first write may fail: after that the kernel says BUG.
/// </remarks>
[KernelName("text_poke_bp", File = "arch/x86/kernel/alternative.c", Version = "v3.12")]
public sealed class TextPokeBp : IPatchProtocol
{
    public const string PhaseBreakpoint = "int3";
    public const string PhaseTail = "all but the first byte";
    public const string PhaseFirstByte = "first byte";

    public string Name => "text_poke_bp";

    public string Summary => "P2, Linux 3.12: int3, tail, first byte, with a sync after each, site by site";

    public bool MaySkip => true;

    public Invariants PromisesUnder(FetchModel model)
        => Promises.OfThreeSyncs(model) | Promises.OfDrainedHandlers(model, Invariants.TrapsAreConsumed) | Invariants.WaitsWithInterruptsOn;

    public IPatcher Attach(LinuxKernel kernel) => kernel.Globals(static k => new Patcher(BreakpointState.In(k)));

    /// <summary>A kernel has tens of thousands of sites, and a search has as many kernels: the steps are made once, and set anew for each.</summary>
    private sealed class SiteSteps
    {
        private static readonly PhaseMark BreakpointMark = new(PhaseBreakpoint), TailMark = new(PhaseTail), FirstByteMark = new(PhaseFirstByte);

        private SiteSteps(BreakpointState state, PatchContext kernel)
        {
            State = state;
            Publication = new(state);
            (Int3, Tail, First) = (kernel.TextPoke(default, BreakpointState.Int3Opcode), kernel.TextPoke(default, default), kernel.TextPoke(default, default));
            PutInt3 = KernelStep.Call([kernel.RecordStep, BreakpointMark, .. Publication.Steps, Fence.Write, Int3]);
            PutTail = KernelStep.Call([kernel.RunSync(), TailMark, Tail]);
            PutFirst = KernelStep.Call([kernel.RunSync(), FirstByteMark, First]);
            SyncAndEnd = KernelStep.Call([kernel.RunSync(), state.Retract(), Fence.Write]);
        }

        public BreakpointState.SitePublication Publication { get; }

        public TextPoke Int3 { get; }

        public TextPoke Tail { get; }

        public TextPoke First { get; }

        public KernelStep PutInt3 { get; }

        public KernelStep PutTail { get; }

        public KernelStep PutFirst { get; }

        public KernelStep SyncAndEnd { get; }

        private BreakpointState State { get; }

        public static SiteSteps Of(BreakpointState state, PatchContext kernel)
        {
            if (kernel.SiteSteps is SiteSteps known && known.State == state) return known;
            var made = new SiteSteps(state, kernel);
            kernel.SiteSteps = made;
            return made;
        }
    }

    private sealed class Patcher(BreakpointState state) : IPatcher, IKernelGlobals
    {
        /// <summary>It has nothing of its own but those variables, which the kernel keeps too.</summary>
        public void Boot(LinuxKernel kernel) => BreakpointState.In(kernel);

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            kernel.TextMutex.AssertHeld();
            var steps = SiteSteps.Of(state, kernel);
            var done = 0;
            var all = sites as PatchSite[] ?? [.. sites];
            for (var i = 0; i < all.Length; i++)
            {
                kernel.ExpectAfter(all, i);
                kernel.NoteRecord();
                var site = all[i];
                if (site.NewCode is not { } opcode)
                {
                    yield return kernel.RecordStep;
                }
                else
                {
                    steps.Publication.At(site.Address, site.Length, handler: site.Address + site.Length);
                    steps.Int3.At(site.Address, BreakpointState.Int3Opcode);
                    yield return steps.PutInt3;
                    if (steps.Int3.Error != 0)
                    {
                        kernel.Failure = new(steps.Int3.Error, PhaseBreakpoint, done, site.Address, Recovered: true);
                        yield return KernelStep.Call([state.Retract(), Fence.Write]);
                    }
                    else
                    {
                        if (site.Length > 1)
                        {
                            steps.Tail.At(site.Address + 1, opcode.AsMemory(1));
                            yield return steps.PutTail;
                            if (steps.Tail.Error != 0) yield return kernel.Kernel.RaiseBug($"text_poke_bp: the tail of {site.Address} cannot be written");
                        }

                        steps.First.At(site.Address, opcode.AsMemory(0, 1));
                        yield return steps.PutFirst;
                        if (steps.First.Error != 0) yield return kernel.Kernel.RaiseBug($"text_poke_bp: the first byte of {site.Address} cannot be written");
                        yield return steps.SyncAndEnd;
                    }

                    if (kernel.Failure is not null || kernel.Kernel.Bug is not null) yield break;
                }

                site.IsFinished = true;
                done++;
            }
        }
    }
}
