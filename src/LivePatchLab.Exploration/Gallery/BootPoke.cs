using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B25: ftrace= on the command line has the boot CPU patch before poking_init() has made the mm through which text_poke() writes. Mended as in Linux 5.5: while system_state is
/// SYSTEM_BOOTING, there is one CPU, and the text is written where it stands (text_poke_early). Later the other CPU comes, and the tracer is switched off by the whole protocol.
/// </summary>
/// <param name="pokesEarlyWhileBooting">Whether it is mended.</param>
internal sealed class BootPoke(bool pokesEarlyWhileBooting) : GalleryScenario
{
    private static readonly GuestAddress Site = Text + 0x106, Tracer = Text + 0x200;

    public override string Name => $"ftrace= at boot, by {(pokesEarlyWhileBooting ? "text_poke_early while there is one CPU" : "text_poke")}";

    public override Invariants CheckedUnder(FetchModel model)
        => Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.NewAfterReturn | Invariants.DescriptorOutlivesHandlers | Invariants.WaitsWithInterruptsOn;

    /// <summary>A pointer to what is not there yet is no better than one to what is there no more.</summary>
    public override Invariants? ShownByFailure(ScenarioRun run) => run.Kernel.Bug is null ? null : Invariants.DescriptorOutlivesHandlers;

    public override void Begin(ScenarioRun run)
    {
        run.AddSite(new(Site, Branch(Call, Site, Tracer), FtraceRecords.NopReplace()));
        run.Machine.Cpus[0].Start("start_kernel", StartKernel(run, Protocols.TextPokeBp.Attach(run.Kernel)));
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        memory.Load(Site, [.. FtraceRecords.NopReplace(), 0x0f, 0x05]);
        memory.Load(Tracer, [Ret]);
    }

    private IEnumerable<KernelStep> StartKernel(ScenarioRun run, IPatcher patcher)
    {
        var pokingMm = new KernelVariable<bool>("poking_mm", false);
        var context = new PatchContext(run.Kernel, run.Machine.Cpus[0]);
        var site = run.Sites[0];
        if (pokesEarlyWhileBooting)
        {
            yield return InterruptFlag.Off;
            yield return new StoreCode(site.Address, site.OldCode, 0);
            yield return SyncCore.Here;
            yield return InterruptFlag.On;
        }
        else
        {
            yield return context.TextMutex.Acquire();
            yield return KernelStep.Call(ThroughPokingMm(run.Kernel, patcher.Apply(context, [new(site.Address, site.NewCode!, site.OldCode)]), pokingMm));
            yield return context.TextMutex.Release();
        }

        yield return pokingMm.Store(true);
        yield return new ScenarioStep("CPU 1 comes online", _ =>
        {
            // Its way here from INIT and SIPI is full of instructions that serialise.
            run.Machine.Cpus[1].Serialise(SerialisingEvents.Instruction);
            StartGuest(run.Machine.Cpus[1], Site);
        });
        yield return context.TextMutex.Acquire();
        yield return KernelStep.Call(ThroughPokingMm(run.Kernel, patcher.Apply(context, run.Sites), pokingMm));
        yield return run.MarkPatched();
        yield return context.TextMutex.Release();
    }

    /// <summary>A protocol's steps, with what __text_poke() needs before it can write.</summary>
    private static IEnumerable<KernelStep> ThroughPokingMm(LinuxKernel kernel, IEnumerable<KernelStep> steps, KernelVariable<bool> pokingMm)
    {
        foreach (var step in steps)
        {
            if (step is Subroutine call)
            {
                yield return KernelStep.Call(ThroughPokingMm(kernel, call.Steps, pokingMm));
                continue;
            }

            if (step is TextPoke)
            {
                var mm = pokingMm.Load();
                yield return mm;
                if (!mm.Value) yield return kernel.RaiseBug("__text_poke: poking_mm is NULL: there is no page table entry to write through");
                if (kernel.Bug is not null) yield break;
            }

            yield return step;
        }
    }
}
