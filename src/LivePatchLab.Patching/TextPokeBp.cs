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

            // One step for all the pokes, and no iterator for each site: a kernel has tens of thousands.
            var poke = kernel.TextPoke(default, default);
            var done = 0;
            foreach (var site in sites as PatchSite[] ?? [.. sites])
            {
                yield return kernel.NextRecord();
                if (site.NewCode is { } opcode)
                {
                    yield return BreakpointMark;
                    yield return state.Handler.Store(site.Address + site.Length);
                    yield return state.Address.Store(site.Address + 1);
                    yield return state.Length.Store(site.Length);
                    yield return state.HandleNoList;
                    yield return state.BeginPatching;
                    yield return Fence.Write;

                    yield return poke.At(site.Address, BreakpointState.Int3Opcode);
                    if (poke.Error != 0)
                    {
                        kernel.Failure = new(poke.Error, PhaseBreakpoint, done, site.Address, Recovered: true);
                    }
                    else
                    {
                        yield return kernel.RunSync();
                        if (site.Length > 1)
                        {
                            yield return TailMark;
                            yield return poke.At(site.Address + 1, opcode.AsMemory(1));
                            if (poke.Error != 0) yield return kernel.Kernel.RaiseBug($"text_poke_bp: the tail of {site.Address} cannot be written");
                            yield return kernel.RunSync();
                        }

                        yield return FirstByteMark;
                        yield return poke.At(site.Address, opcode.AsMemory(0, 1));
                        if (poke.Error != 0) yield return kernel.Kernel.RaiseBug($"text_poke_bp: the first byte of {site.Address} cannot be written");
                        yield return kernel.RunSync();
                    }

                    yield return state.Retract;
                    yield return Fence.Write;
                    if (kernel.Failure is not null || kernel.Kernel.Bug is not null) yield break;
                }

                site.IsFinished = true;
                done++;
            }
        }
    }
}
