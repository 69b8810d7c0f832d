using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>Counterexamples written by hand after known schedules, so that what is shown of one can be tested without finding one.</summary>
internal static class HandMade
{
    private static readonly GuestAddress Site = new(0xffffffff81000005);
    private static readonly GuestAddress Probe = new(0xffffffff81000123);

    /// <summary>The first synchronisation is left out: a CPU that has fetched the first chunk of the old call takes the second one from the new.</summary>
    public static Counterexample TornCall { get; } = Example(
        "text_poke_bp without the sync after adding breakpoints, 1 site",
        new(Invariants.NothingTorn, new(1), 12, Site, "executes e8 10 20 33 44 at ffffffff81000005, which is neither the old e8 10 20 30 40 nor the new e8 11 22 33 44"),
        "s0*3 f0 s1 f2",
        [
            new(0, new(0), 0, 2, TraceKind.Step, "text_poke_bp", "take text_mutex"),
            new(1, new(1), 0, 1, TraceKind.Instruction, null, "nopl (%rax)") { Rip = Site - 3, Fetched = [0x0f, 0x1f, 0x00] },
            new(2, new(0), 2, 3, TraceKind.Step, "text_poke_bp", "text_poke ffffffff81000005: cc"),
            new(3, new(0), 5, 3, TraceKind.Step, "text_poke_bp", "text_poke ffffffff81000006: 11223344"),
            new(4, new(1), 1, 1, TraceKind.Instruction, null, "call ffffffffc533201a") { Rip = Site, Fetched = [0xe8, 0x10, 0x20, 0x33, 0x44], IsStale = true, IsTorn = true },
        ],
        [Version(-1, "e810203040"), Version(2, "cc10203040"), Version(3, "cc11223344")]);

    /// <summary>The gate of #BP leaves interrupts on: the IPI is acknowledged from inside the handler, and the patcher forgets the site before the handler looks.</summary>
    public static Counterexample UnhandledTrap { get; } = Example(
        "text_poke_bp, trap gate, 1 site",
        new(Invariants.TrapsAreConsumed, new(1), 21, Site, "the #BP at ffffffff81000005 is consumed by nobody: the patcher has cleared its state"),
        "s0 f1 s1 s0*3 s1*3 s0 s1",
        [
            new(0, new(0), 0, 2, TraceKind.Step, "text_poke_bp", "text_poke ffffffff81000005: cc"),
            new(1, new(1), 0, 1, TraceKind.Instruction, null, "int3") { Rip = Site, Fetched = [0xcc] },
            new(2, new(1), 1, 5, TraceKind.Trap, "poke_int3_handler", "#BP, interrupts stay on"),
            new(3, new(0), 2, 2, TraceKind.Step, "text_poke_bp", "text_poke ffffffff81000005: 0f"),
            new(4, new(0), 4, 3, TraceKind.Step, "text_poke_bp", "run_sync"),
            new(5, new(1), 6, 2, TraceKind.Interrupt, "do_sync_core", "IPI of CPU0") { CausedBy = 4 },
            new(6, new(1), 8, 1, TraceKind.Return, "do_sync_core", "IRET"),
            new(7, new(0), 9, 1, TraceKind.Step, "text_poke_bp", "bp_patching_in_progress = 0"),
            new(8, new(1), 9, 1, TraceKind.Step, "poke_int3_handler", "reads bp_patching_in_progress: 0"),
            new(9, new(1), 10, 0, TraceKind.Violation, null, "nobody consumes the #BP"),
        ],
        [Version(-1, "0f1f440000"), Version(0, "cc1f440000"), Version(3, "0f1f440000")]);

    /// <summary>A probe's int3 leads a CPU into the handler while another one takes the vector away.</summary>
    public static Counterexample ForeignInt3 { get; } = Example(
        "text_poke_bp_batch and a kprobe",
        new(Invariants.ForeignInt3Survives, new(2), 31, Probe, "the handler reads the vector after it was taken away: a null pointer is followed"),
        "s0*2 s2*2 s0 s2",
        [
            new(0, new(0), 0, 1, TraceKind.Step, "text_poke_bp_batch", "nr = 1, vec = v"),
            new(1, new(0), 1, 2, TraceKind.Step, "text_poke_bp_batch", "text_poke ffffffff81000005: cc"),
            new(2, new(2), 0, 1, TraceKind.Instruction, null, "int3") { Rip = Probe, Fetched = [0xcc] },
            new(3, new(2), 1, 2, TraceKind.Trap, "poke_int3_handler", "#BP at ffffffff81000123"),
            new(4, new(2), 3, 1, TraceKind.Step, "poke_int3_handler", "reads nr: 1"),
            new(5, new(0), 3, 2, TraceKind.Step, "text_poke_bp_batch", "text_poke ffffffff81000005: 0f"),
            new(6, new(0), 5, 1, TraceKind.Step, "text_poke_bp_batch", "vec = NULL"),
            new(7, new(2), 4, 1, TraceKind.Step, "poke_int3_handler", "reads vec: NULL"),
        ],
        [Version(-1, "0f1f440000"), new(-1, Probe, [0xcc, 0x89, 0xe5]), Version(1, "cc1f440000"), Version(5, "0f1f440000")],
        cpus: 3);

    /// <summary>More CPUs than columns have room for.</summary>
    public static Counterexample ManyCpus { get; } = Example(
        "a crowd",
        new(Invariants.NewAfterReturn, new(7), 3, Site, "executes the old 0f 1f 44 00 00 at ffffffff81000005 after the patcher has returned"),
        "s0 s1 s2",
        [
            new(0, new(0), 0, 1, TraceKind.Step, "stop_machine", "text_poke ffffffff81000005: e811223344"),
            .. Enumerable.Range(1, 7).Select(cpu => new TraceEntry(cpu, new(cpu), 0, 1, TraceKind.Instruction, null, "nopl 0(%rax,%rax,1)") { Rip = Site, Fetched = [0x0f, 0x1f, 0x44, 0, 0], IsStale = true }),
        ],
        [Version(-1, "0f1f440000"), Version(0, "e811223344")],
        cpus: 8);

    public static IReadOnlyList<(string Name, Counterexample Example)> All { get; } =
        [("torn-call", TornCall), ("unhandled-trap", UnhandledTrap), ("foreign-int3", ForeignInt3), ("many-cpus", ManyCpus)];

    public static ExplorationResult Found(Counterexample example) => new()
    {
        Scenario = example.Scenario,
        Model = example.Model,
        Strategy = "depth-first",
        Verdict = Verdict.Violation,
        Executions = example.Executions,
        Transitions = 14 * example.Executions,
        IsExhaustive = false,
        Bound = "stopped at the first violation",
        Checked = Invariants.NothingTorn | Invariants.TrapsAreConsumed,
        Counterexample = example,
        HostSeconds = 0.25,
    };

    public static ExplorationResult Passed { get; } = Found(TornCall) with
    {
        Scenario = "text_poke_bp, 1 site",
        Verdict = Verdict.Pass,
        Counterexample = null,
        Executions = 41_210,
        IsExhaustive = true,
        Bound = "all interleavings",
        Control = Found(TornCall with { Executions = 3 }),
        NotProven = ["Nothing is said of more than 2 CPUs or more than 1 site.", "Only I1, I2 were checked."],
    };

    private static SiteVersion Version(int ordinal, string hex) => new(ordinal, Site, Convert.FromHexString(hex));

    private static Counterexample Example(string scenario, InvariantViolation violation, string decisions, IReadOnlyList<TraceEntry> entries, IReadOnlyList<SiteVersion> history, int cpus = 2) => new()
    {
        Scenario = scenario,
        Model = FetchModel.SdmWorst,
        Violation = violation,
        Decisions = DecisionList.Parse(decisions),
        Seed = null,
        Executions = 37,
        StateHash = new(0x0123456789abcdef),
        Entries = entries,
        SiteHistory = history,
        Cpus = cpus,
    };
}
