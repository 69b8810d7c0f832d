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
            var done = 0;
            foreach (var site in sites)
            {
                yield return kernel.NextRecord();
                if (site.NewCode is not null)
                {
                    yield return KernelStep.Call(PokeOne(kernel, site, site.NewCode, done));
                    if (kernel.Failure is not null || kernel.Kernel.Bug is not null) yield break;
                }

                site.IsFinished = true;
                done++;
            }
        }

        private IEnumerable<KernelStep> PokeOne(PatchContext kernel, PatchSite site, byte[] opcode, int done)
        {
            yield return BreakpointMark;
            yield return KernelStep.Call(state.PublishSite(site.Address, site.Length, handler: site.Address + site.Length));
            yield return Fence.Write;

            var int3 = kernel.TextPoke(site.Address, BreakpointState.Int3Opcode);
            yield return int3;
            if (int3.Error != 0)
            {
                kernel.Failure = new(int3.Error, PhaseBreakpoint, done, site.Address, Recovered: true);
            }
            else
            {
                yield return kernel.RunSync();
                if (site.Length > 1)
                {
                    yield return TailMark;
                    var tail = kernel.TextPoke(site.Address + 1, opcode.AsMemory(1));
                    yield return tail;
                    if (tail.Error != 0) yield return kernel.Kernel.RaiseBug($"text_poke_bp: the tail of {site.Address} cannot be written");
                    yield return kernel.RunSync();
                }

                yield return FirstByteMark;
                var first = kernel.TextPoke(site.Address, opcode.AsMemory(0, 1));
                yield return first;
                if (first.Error != 0) yield return kernel.Kernel.RaiseBug($"text_poke_bp: the first byte of {site.Address} cannot be written");
                yield return kernel.RunSync();
            }

            yield return state.Retract();
            yield return Fence.Write;
        }
    }
}
