using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>B01 to B17: the protocol's own order, its handler, its recovery, what it replaces.</summary>
public static partial class BugGallery
{
    private const Invariants TrapsAndText = Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.NewAfterReturn;

    /// <summary>No stale code at all, but #BP comes through a trap gate: an IPI is answered from inside its handler.</summary>
    internal static FetchModel IdealWithTrapGate => FetchModel.Ideal with
    {
        Name = "ideal, with a trap gate",
        Description = "Every store to code is seen at once; interrupts stay on in the handler of #BP, as under early Xen PV.",
        BreakpointGate = GateType.Trap,
    };

    /// <summary>What no x86 processor is: serialising leaves stale lines in the instruction cache.</summary>
    internal static FetchModel IncoherentCache => FetchModel.AmdAsync with
    {
        Name = "amd-async, with an incoherent instruction cache",
        Description = "A serialising instruction shows what a line held when it was last maintained, and nobody maintains lines on x86: the first theory of June 2025, not a processor.",
        IcacheCoherent = false,
    };

    /// <summary>A site that lies within one chunk of every model: it may be stale, and cannot be torn.</summary>
    private static PatchShape Whole => new() { SiteOffset = 0 };

    private static PatchShape PartialOrder => new() { SiteOffset = 0, MemoryOrder = MemoryOrder.PartialStoreOrder };

    /// <summary>Two bytes of the site lie in one quadword, three in the next, and the calls differ in both.</summary>
    private static PatchShape Straddling => new() { SiteOffset = 6 };

    private static PatchShape TwoSites => new() { Sites = 2, SiteOffset = 0 };

    private static IEnumerable<HistoricalBug> Handlers() =>
    [
        new(1, "The flag is published after the INT3")
        {
            Reference = "ftrace of 08d636b6d4fb, before Linux 3.5",
            Ingredients = "stores that overtake each other",
            Fix = "an atomic counter, which is a barrier as well: the flag is in memory before the first INT3",
            Model = FetchModel.Ideal,
            Broken = () => new PatchScenario(new Ftrace2012PlainFlag(), PartialOrder),
            Mended = () => new PatchScenario(Protocols.Ftrace2012, PartialOrder),
        },
        new(2, "The state is cleared between the trap and its look-up")
        {
            Reference = "Torvalds, May 2019: CAHk-=wje38dbYFGNw0y==zd7Zo_4s2WOQjWaBDyr24RCdK2EPQ@mail.gmail.com, race (a)",
            Ingredients = "a trap gate: the IPI of the last sync is answered inside the handler",
            Fix = "an interrupt gate; where there is none, a handler that looks at the text again and goes back where the INT3 has gone",
            Model = IdealWithTrapGate,
            Broken = () => new StagedPatch(Protocols.TextPokeBp, Whole) { Checked = TrapsAndText },
            Mended = () => new StagedPatch(Protocols.TextPokeBp, Whole) { Checked = TrapsAndText, Ground = Kprobes.MapSlots, Cue = RetryVanished },
        },
        new(3, "A second change replaces the record under the handler")
        {
            Reference = "Torvalds, May 2019: CAHk-=wje38dbYFGNw0y==zd7Zo_4s2WOQjWaBDyr24RCdK2EPQ@mail.gmail.com, race (b); ftrace_update_func of Linux 3.15",
            Ingredients = "a trap gate; two changes in a row",
            Fix = "a handler that knows every place that is ever changed, as that of Linux 3.10 did; or a count of references",
            Model = IdealWithTrapGate,
            Broken = () => new StagedPatch(new FtraceCaller(CallerLookup.Latest), TwoSites) { Checked = TrapsAndText },
            Mended = () => new StagedPatch(new FtraceCaller(CallerLookup.Each), TwoSites) { Checked = TrapsAndText },
        },
        new(4, "No sync after recovery")
        {
            Reference = "ftrace of Linux 3.5 to 3.14; mended by 12729f14d835 and c932c6b7c913",
            Ingredients = "a read that fails at the second site; text that recovery can write, as modules' was; and an INT3 that was fetched before, or a handler that nobody waits for",
            Fix = "a sync between putting the old bytes back and taking the counter down",
            Model = FetchModel.AmdAsync,
            Broken = () => Failing(Protocols.Ftrace2012, StagedPatch.MakeTextWritable),
            Mended = () => Failing(Protocols.Ftrace2014, StagedPatch.MakeTextWritable),
        },
        new(5, "A recovery that cannot write, and does not say so")
        {
            Reference = "ftrace of Linux 3.10; mended by 3.15, with 7f11f5ecf4ae",
            Ingredients = "read-only text; a read that fails at the second site",
            Fix = "recovery writes through the writable mapping, and BUG() where that fails",
            Model = FetchModel.AmdAsync,
            Broken = () => Failing(Protocols.Ftrace2012),
            Mended = () => Failing(Protocols.Ftrace2014),
        },
        new(6, "A site that the handler does not know")
        {
            Reference = "8a4d0a687a59; mended by ab4ead02ec23",
            Ingredients = "none: the call inside ftrace's trampoline is patched by INT3, the handler knows traced functions only",
            Fix = "is_ftrace_caller(): what is patched and what the handler knows are the same set",
            Model = FetchModel.Ideal,
            Broken = () => new PatchScenario(new FtraceCaller(CallerLookup.Nobody), Whole),
            Mended = () => new PatchScenario(new FtraceCaller(CallerLookup.Each), Whole),
        },
        new(7, "Five bytes of a call rewritten under those who execute it")
        {
            Reference = "ftrace_call until 8a4d0a687a59",
            Ingredients = "torn fetches: two bytes of the new call and three of the old",
            Fix = "INT3, tail, first byte",
            Model = FetchModel.AmdAsync,
            Broken = () => new PatchScenario(new FtraceCallerDirect(), Straddling),
            Mended = () => new PatchScenario(new FtraceCaller(CallerLookup.Each), Straddling),
        },
        new(8, "The handler is not registered yet")
        {
            Reference = "fd4363fff3d9; mended by 17f41571bb2c",
            Ingredients = "none: jump labels are patched before the initcall that puts the handler on the die notifier's chain",
            Fix = "do_int3() calls the handler itself",
            Model = FetchModel.Ideal,
            Broken = () => new PatchScenario(new LateNotifier(Protocols.TextPokeBp), Whole),
            Mended = () => new PatchScenario(Protocols.TextPokeBp, Whole),
        },
        new(9, "The array is gone, and its count is not")
        {
            Reference = "c0213b0ac03c; mended by 285a54efe386: 157483421229.25881.15314414408559963162.stgit@devnote2",
            Ingredients = "the INT3 of another, a probe's, which lets a CPU into the handler at any time",
            Fix = "the count goes first, then a sync, then the array",
            Model = FetchModel.Ideal,
            Broken = () => ForeignProbe.Beside(Protocols.TextPokeBpBatch),
            Mended = () => ForeignProbe.Beside(Protocols.TextPokeBpTwoPhase),
        },
        new(10, "A descriptor on the stack, found after its function has returned")
        {
            Reference = "1f676247f36a; mended by efd608fa7403: 20220920224743.3089-1-namit@vmware.com",
            Ingredients = "the INT3 of another; a stack that the next call uses again",
            Fix = "one global descriptor, whose count of references is always a count",
            Model = FetchModel.Ideal,
            Broken = () => ForeignProbe.Beside(Protocols.TextPokeBpRefcount),
            Mended = () => ForeignProbe.Beside(Protocols.TextPokeBpGlobalDesc),
        },
        new(11, "An array that does not ascend")
        {
            Reference = "c8976ade0c1b; mended by 2aebf5ee43bf: 175020512308.3582717.13631440385506146631.stgit@mhiramat.tok.corp.google.com",
            Ingredients = "two clients of one array, who give text_mutex up between their calls",
            Fix = "who adds a single site looks whether the array still ascends, and whether there is room, as everybody else does",
            Model = FetchModel.Ideal,
            Broken = () => new TwoClients((array, kernel, site) => array.SingleUnordered(kernel, site)),
            Mended = () => new TwoClients((array, kernel, site) => array.Single(kernel, site)),
        },
        new(12, "The INT3 that is gone: an instruction cache that serialising does not reach")
        {
            Reference = "the theories before B11 was understood: 20250611192610.6edf9713f6ee84c26f653ea5@kernel.org and 20250611113001.GC2273038@noisy",
            Ingredients = "an instruction cache that is not coherent (rejected: x86 has none such); or a trap gate (rejected: #BP has an interrupt gate)",
            Fix = "none was needed for either theory; on such a machine each written line would have to be maintained",
            Model = IncoherentCache,
            Broken = () => Visited(Protocols.SmpTextPoke),
            Mended = () => Visited(new WithCacheMaintenance(Protocols.SmpTextPoke)),
        },
        new(13, "A probe disarmed without a sync")
        {
            Reference = "kprobes until 5c02ece81848: 20191111132458.162172862@infradead.org",
            Ingredients = "a grace period taken for a sync; and an INT3 that was fetched before, or a trap that nobody waits for",
            Fix = "a sync after every write of a probe's first byte",
            Model = FetchModel.AmdAsync,
            Broken = () => new UnregisteredProbe(KprobesOptions.Mainline with { SynchronisesCores = false }),
            Mended = () => new UnregisteredProbe(KprobesOptions.Mainline),
        },
        new(14, "The trap of another is taken for a vanished probe's")
        {
            Reference = "kprobe_handler() until 2022, made superfluous by the mending of B13",
            Ingredients = "the INT3 of another, which is removed while its trap is under way",
            Fix = "no retry: with the syncs of B13 there is nothing for it to do",
            Model = FetchModel.Ideal,
            Broken = () => new StolenInt3(KprobesOptions.Mainline with { RetriesVanished = true }),
            Mended = () => new StolenInt3(KprobesOptions.Mainline),
        },
        new(15, "A jump over more than one instruction")
        {
            Reference = "optimised probes: 20190611120834.GG3463@hirez",
            Ingredients = "a task that is preempted in front of the second instruction",
            Fix = "synchronize_rcu_tasks() before the tail is written; a sync is no wait for tasks",
            Model = FetchModel.Ideal,
            Broken = () => new JumpOverTwoInstructions(KprobesOptions.Mainline with { WaitsForTasks = false }),
            Mended = () => new JumpOverTwoInstructions(KprobesOptions.Mainline),
        },
        new(16, "Two instructions replaced by one")
        {
            Reference = "static_call() without a target: 20200325181339.GK20713@hirez",
            Ingredients = "a task that is preempted in front of the RET of xor eax, eax; ret",
            Fix = "old and new are each one instruction of the same length: RET with padding",
            Model = FetchModel.Ideal,
            Broken = () => new StaticCallGetsTarget(StaticCallGetsTarget.XorAndReturn),
            Mended = () => new StaticCallGetsTarget(StaticCallGetsTarget.Return),
        },
        new(17, "A call that becomes another is taken for a nop meanwhile")
        {
            Reference = "ftrace until 9e298e860408, Linux 5.2: 20190501113238.0ab3f9dd@gandalf.local.home",
            Ingredients = "none: the handler skips the instruction, and the call of the livepatch with it",
            Fix = "the handler emulates the call",
            Model = FetchModel.Ideal,
            Broken = () => Counted(Protocols.Ftrace2012),
            Mended = () => Counted(Protocols.TextPokeBpEmulate),
        },
    ];

    /// <summary>The second site cannot be read, so the first is put back. The trap of the first is looked at: after the return, it is fatal.</summary>
    private static StagedPatch Failing(IPatchProtocol protocol, Action<SmpMachine>? ground = null) => new(protocol, TwoSites)
    {
        Checked = Invariants.TrapsAreConsumed,
        Ground = ground,
        Cue = run => run.Kernel.Faults = new FaultInjection().Fail(FaultPoint.Read, 2, Errno.Efault),
    };

    private static StagedPatch Counted(IPatchProtocol protocol) => new(protocol, Whole)
    {
        Checked = Invariants.EffectIsOldOrNew | Invariants.TrapsAreConsumed,
        Oracle = () => new CallsAreCounted(Whole),
    };

    /// <summary>The executor takes text_mutex first, and gives it up: it comes by while the patcher is at work, or when all is over.</summary>
    private static StagedPatch Visited(IPatchProtocol protocol) => new(protocol, Whole)
    {
        Checked = Invariants.TrapsAreConsumed,
        Cue = run => run.Machine.Cpus[1].Start("text_mutex", [run.Kernel.TextMutex.Acquire(), run.Kernel.TextMutex.Release()]),
    };

    /// <summary>The handler of probes, asked last, goes back to an INT3 that is there no more.</summary>
    private static void RetryVanished(ScenarioRun run)
    {
        _ = new Kprobes(run.Kernel, new() { RetriesVanished = true });

        // Probes bring the gate of guest calls along, and with it the executor's SYSCALL asks for something.
        run.Machine.Cpus[1].Registers[0] = GuestGate.Exit;
    }
}
