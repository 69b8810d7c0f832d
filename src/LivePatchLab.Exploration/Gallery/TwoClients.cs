using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// B11: two clients of smp_text_poke_*(). Jump labels add their site and give text_mutex up; before they come back for the rest, ftrace patches a single
/// site at a lower address, and the CPU of the first comes by the site that was added.
/// </summary>
/// <param name="single">What the second client calls: smp_text_poke_single().</param>
/// <param name="added">How many sites the first client adds; with as many as the array holds, there is no place for another.</param>
internal sealed class TwoClients(Func<TextPokeArray, PatchContext, PatchSite, IEnumerable<KernelStep>> single, int added = 1) : Scenario
{
    private const int SiteBytes = 8;

    private static readonly GuestAddress Text = new(0xffffffff81000000), Low = Text + 0x1c0, High = Text + 0x200, Stack = new(0xffffffff82000000);
    private static readonly byte[] Nop = [0x0f, 0x1f, 0x44, 0x00, 0x00], JumpToNext = [0xe9, 0x00, 0x00, 0x00, 0x00];

    public override string Name => $"two clients of smp_text_poke, one of which adds {added}";

    /// <summary>Each of a full array's sites is written three times.</summary>
    public override int TransitionsMax => 2_000 + (40 * added);

    public override Invariants CheckedUnder(FetchModel model) => Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.ArrayIsSorted;

    public override void LayOut(SmpMachine machine)
    {
        machine.Memory.Map(Text, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Load(Low, Nop);
        for (var i = 0; i < added; i++) machine.Memory.Load(High + (SiteBytes * i), [.. Nop, 0x0f, 0x05]); // and syscall: done
        machine.Memory.Map(Stack, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
    }

    public override void Begin(ScenarioRun run)
    {
        var array = TextPokeArray.In(run.Kernel);
        var low = new PatchSite(Low, Nop, JumpToNext);
        run.AddSite(low);
        for (var i = 0; i < added; i++) run.AddSite(new(High + (SiteBytes * i), Nop, JumpToNext));
        var (jumpLabels, ftrace) = (Context(run, 0), Context(run, 1));
        var high = run.Sites.Skip(1).ToArray();
        run.Machine.SystemCall = cpu =>
        {
            cpu.StopGuest();
            cpu.Start("jump labels: finish", Locked(jumpLabels, array.BatchFinish(jumpLabels)));
        };
        jumpLabels.Cpu.StartGuest(High, Stack + 256);
        jumpLabels.Cpu.Start("jump labels: add", Locked(jumpLabels, high.SelectMany(site => array.BatchAdd(jumpLabels, site))));
        ftrace.Cpu.Start("ftrace: single", Locked(ftrace, single(array, ftrace, low)));
    }

    public override IEnumerable<Checker> MakeCheckers() => [new OneAscendingArray()];

    private static PatchContext Context(ScenarioRun run, int cpu) => new(run.Kernel, run.Machine.Cpus[cpu]);

    private static IEnumerable<KernelStep> Locked(PatchContext context, IEnumerable<KernelStep> steps)
    {
        yield return context.TextMutex.Acquire();
        yield return KernelStep.Call(steps);
        yield return context.TextMutex.Release();
    }

    /// <summary>I12: whoever searches the array finds it ascending, and as long as it says it is.</summary>
    private sealed class OneAscendingArray : Checker
    {
        public override Invariants Invariant => Invariants.ArrayIsSorted;

        public override bool WantsSteps => true;

        public override void OnStep(ScenarioRun run, Cpu cpu, KernelRoutine routine, KernelStep step)
        {
            var entries = TextPokeArray.In(run.Kernel).NrEntries.Value;
            if (step is Int3Lookup { IsSorted: false } lookup)
                run.Report(Invariant, cpu, lookup.Ip, $"a binary search for {lookup.Ip} in entries that do not ascend: {string.Join(", ", lookup.Vec.Take(lookup.Entries).Select(tp => tp.Address))}");
            else if (entries is < 0 or > TextPokeArray.LocationsMax)
                run.Report(Invariant, cpu, default, $"an array of {TextPokeArray.LocationsMax} entries says that it has {entries}");
        }
    }
}
