using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B28: a map of programs changes a tail call of a program that is not in kallsyms yet, and takes bpf_arch_text_poke()'s -EINVAL for no error. Its next change expects what was never
/// written. Mended by __bpf_arch_text_poke(), which does not ask kallsyms.
/// </summary>
/// <param name="asksKallsyms">Whether the address must be that of a known program.</param>
internal sealed class SwallowedPoke(bool asksKallsyms) : GalleryScenario
{
    private static readonly GuestAddress Site = Text + 0x100, First = Text + 0x200, Second = Text + 0x240;

    public override string Name => $"prog_array_map_poke_run {(asksKallsyms ? "by bpf_arch_text_poke, whose -EINVAL is ignored" : "by __bpf_arch_text_poke")}";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.NewAfterReturn | Invariants.NothingTorn | Invariants.WaitsWithInterruptsOn;

    /// <summary>What the caller takes to be new is old.</summary>
    public override Invariants? ShownByFailure(ScenarioRun run) => run.Kernel.Bug is null ? null : Invariants.NewAfterReturn;

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Site, FtraceRecords.NopReplace(), Branch(Jmp, Site, First)));
        var isInKallsyms = new KernelVariable<bool>("prog is in kallsyms", false);
        run.Machine.Cpus[0].Start("prog_array_map_poke_run", UpdateTwice(run, isInKallsyms));
        run.Machine.Cpus[1].Start("bpf_prog_kallsyms_add", [isInKallsyms.Store(true)]);
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        memory.Load(Site, [.. FtraceRecords.NopReplace(), Ret]);
        memory.Load(First, [Ret]);
        memory.Load(Second, [Ret]);
    }

    private IEnumerable<KernelStep> UpdateTwice(ScenarioRun run, KernelVariable<bool> isInKallsyms)
    {
        var context = new PatchContext(run.Kernel, run.Machine.Cpus[0]);
        var isKnown = !asksKallsyms;
        var patcher = (BpfArchTextPoke.Patcher)new BpfArchTextPoke(Protocols.TextPokeBp, (_, _) => isKnown).Attach(run.Kernel);
        var site = run.Sites[0];
        foreach (var (old, @new) in new[] { (site.OldCode, site.NewCode!), (site.NewCode!, Branch(Jmp, Site, Second)) })
        {
            yield return context.TextMutex.Acquire();
            if (asksKallsyms)
            {
                var known = isInKallsyms.Load();
                yield return known;
                isKnown = known.Value;
            }

            var answer = 0;
            yield return KernelStep.Call(patcher.Poke(context, site.Address, old, @new, a => answer = a));
            if (answer < 0 && answer != Errno.Einval) yield return run.Kernel.RaiseBug($"prog_array_map_poke_run: bpf_arch_text_poke says {Errno.NameOf(answer)} at {site.Address}");
            yield return context.TextMutex.Release();
        }
    }
}
