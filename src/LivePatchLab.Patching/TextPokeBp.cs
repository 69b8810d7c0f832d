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

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(BreakpointState.In(kernel));

    private sealed class Patcher(BreakpointState state) : IPatcher
    {
        private static readonly PhaseMark BreakpointMark = new(PhaseBreakpoint), TailMark = new(PhaseTail), FirstByteMark = new(PhaseFirstByte);

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            kernel.TextMutex.AssertHeld();

            // A kernel has tens of thousands of sites: the steps are made once, and set anew for each.
            var publication = new BreakpointState.SitePublication(state);
            TextPoke int3 = kernel.TextPoke(default, BreakpointState.Int3Opcode), tail = kernel.TextPoke(default, default), first = kernel.TextPoke(default, default);
            var putInt3 = KernelStep.Call([kernel.RecordStep, BreakpointMark, .. publication.Steps, Fence.Write, int3]);
            var putTail = KernelStep.Call([kernel.RunSync(), TailMark, tail]);
            var putFirst = KernelStep.Call([kernel.RunSync(), FirstByteMark, first]);
            var syncAndEnd = KernelStep.Call([kernel.RunSync(), state.Retract(), Fence.Write]);
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
                    publication.At(site.Address, site.Length, handler: site.Address + site.Length);
                    int3.At(site.Address, BreakpointState.Int3Opcode);
                    yield return putInt3;
                    if (int3.Error != 0)
                    {
                        kernel.Failure = new(int3.Error, PhaseBreakpoint, done, site.Address, Recovered: true);
                        yield return KernelStep.Call([state.Retract(), Fence.Write]);
                    }
                    else
                    {
                        if (site.Length > 1)
                        {
                            tail.At(site.Address + 1, opcode.AsMemory(1));
                            yield return putTail;
                            if (tail.Error != 0) yield return kernel.Kernel.RaiseBug($"text_poke_bp: the tail of {site.Address} cannot be written");
                        }

                        first.At(site.Address, opcode.AsMemory(0, 1));
                        yield return putFirst;
                        if (first.Error != 0) yield return kernel.Kernel.RaiseBug($"text_poke_bp: the first byte of {site.Address} cannot be written");
                        yield return syncAndEnd;
                    }

                    if (kernel.Failure is not null || kernel.Kernel.Bug is not null) yield break;
                }

                site.IsFinished = true;
                done++;
            }
        }
    }
}
