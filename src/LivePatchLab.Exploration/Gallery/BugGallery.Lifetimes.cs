using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>B18 to B35: stacks, NMIs, locks, memory that is freed, other people's INT3s, time.</summary>
public static partial class BugGallery
{
    private static IEnumerable<HistoricalBug> Lifetimes() =>
    [
        new(18, "CALL emulated without room on the stack")
        {
            Reference = "x86 INT3 emulation of 2019, commit 2700fefdb2d9",
            Ingredients = "real stack frames",
            Fix = "the entry code of #BP leaves a gap of six words below the interrupted stack",
            Model = FetchModel.Ideal,
            Broken = () => new EntryStackGap(0),
            Mended = () => new EntryStackGap(Int3Emulation.EntryStackGapBytes),
        },
        new(19, "The handler of #BP calls what is being patched")
        {
            Reference = "series of February 2020, commit 4979fb53ab0e; again lore, June 2025, 20250616163659.d372cf60ee0c476168cd448e@kernel.org",
            Ingredients = "#BP inside the handler of #BP",
            Fix = "what the handler calls is inlined into it, or must not be patched",
            Model = FetchModel.Ideal,
            Broken = () => new RecursiveHandler(hasOwnCopy: false),
            Mended = () => new RecursiveHandler(hasOwnCopy: true),
        },
        new(20, "A nested NMI overwrites the frame of the first")
        {
            Reference = "lkml, 8 December 2011; LWN 484932; commit ccd49c239177",
            Ingredients = "NMIs, IRET that unblocks them, one stack for them all",
            Fix = "the NMI's entry code copies its frame away and knows that it is nested",
            Model = FetchModel.Ideal,
            Broken = () => new NestedNmiFrame(copiesFrame: false),
            Mended = () => new NestedNmiFrame(copiesFrame: true),
        },
        new(21, "Nops optimised in place with interrupts on")
        {
            Reference = "commit 2dc419613805",
            Ingredients = "an interrupt between two bytes of a write, on one CPU",
            Fix = "interrupts off around the write and the sync",
            Model = FetchModel.IntelPractice,
            Broken = () => new InPlaceNops(interruptsOff: false),
            Mended = () => new InPlaceNops(interruptsOff: true),
        },
        new(22, "Text poked early is synced after interrupts are on again")
        {
            Reference = "commit 3ea1704a9296",
            Ingredients = "code that the CPU has prefetched itself, an interrupt that waits",
            Fix = "sync_core before interrupts are on again",
            Model = FetchModel.SdmWorst,
            Broken = () => new SyncAfterRestore(syncsFirst: false),
            Mended = () => new SyncAfterRestore(syncsFirst: true),
        },
        new(23, "Waiting with interrupts off")
        {
            Reference = "run_sync() of commit 08d636b6d4fb turns interrupts on; LiteInst's handler spins",
            Ingredients = "interrupt flag, IPIs that are waited for",
            Fix = "the handler goes back to the instruction by IRET instead of spinning; a sync waits with interrupts on",
            Model = FetchModel.Ideal,
            Broken = () => new SpinningHandler(retries: false),
            Mended = () => new SpinningHandler(retries: true),
        },
        new(24, "text_mutex and another lock are taken in two orders")
        {
            Reference = "9f255b632bf1, mended by d5b844a2cf50; the same with module_mutex, mended by f1c6ece23729",
            Ingredients = "two locks",
            Fix = "one order everywhere",
            Model = FetchModel.Ideal,
            Broken = () => new LockOrder(SecondLock.CpuHotplugLock, hasOneOrder: false),
            Mended = () => new LockOrder(SecondLock.CpuHotplugLock, hasOneOrder: true),
        },
        new(25, "A poke before the mm for poking exists")
        {
            Reference = "lore, October 2019, 20191009224135.2dcf7767@oasis.local.home",
            Ingredients = "the order of booting",
            Fix = "while the system boots and there is one CPU, the text is written where it stands",
            Model = FetchModel.AmdAsync,
            Broken = () => new BootPoke(pokesEarlyWhileBooting: false),
            Mended = () => new BootPoke(pokesEarlyWhileBooting: true),
        },
        new(26, "A half of BPF's dispatcher is filled again under a CPU")
        {
            Reference = "mended by 4121d4481b72",
            Ingredients = "readers in RCU read-side critical sections, memory that is used again",
            Fix = "synchronize_rcu between two updates",
            Model = FetchModel.Ideal,
            Broken = () => new DispatcherReuse(waitsForReaders: false),
            Mended = () => new DispatcherReuse(waitsForReaders: true),
        },
        new(27, "A trampoline is freed with a sleeper inside")
        {
            Reference = "mended by e21aa341785c",
            Ingredients = "tasks that sleep, RCU tasks, freed memory",
            Fix = "a count of those inside, beside the grace periods",
            Model = FetchModel.Ideal,
            Broken = () => new SleeperInTrampoline(countsTasks: false),
            Mended = () => new SleeperInTrampoline(countsTasks: true),
        },
        new(28, "The failure of a poke is swallowed")
        {
            Reference = "mended by 4b7de801606e; lore, November 2023, 20231127094525.1366740-1-jolsa@kernel.org",
            Ingredients = "error codes",
            Fix = "the poke of a program's own tail calls does not ask kallsyms",
            Model = FetchModel.Ideal,
            Broken = () => new SwallowedPoke(asksKallsyms: true),
            Mended = () => new SwallowedPoke(asksKallsyms: false),
        },
        new(29, "An IPI is not core-serialising")
        {
            Reference = "mended by 758c9373d841; lore, December 2020, 776b448d5f7bd6b12690707f5ed67bcda7f1d427.1607058304.git.luto@kernel.org",
            Ingredients = "interrupt delivery and SYSRET do not serialise, two threads on one CPU",
            Fix = "sync_core_before_usermode in the IPI",
            Model = FetchModel.SdmWorst,
            Broken = () => new MembarrierSyncCore(syncsInHandler: false),
            Mended = () => new MembarrierSyncCore(syncsInHandler: true),
        },
        new(30, "A deferred sync and a site in the entry code")
        {
            Reference = "RFC of 2022 to 2025; lore, July 2023, 20230705181256.3539027-13-vschneid@redhat.com",
            Ingredients = "syncs that spare CPUs in user mode, stale fetches",
            Fix = "no site between the entry and the flush",
            Model = FetchModel.AmdAsync,
            Broken = () => new DeferredSyncEntry(isBehindFlush: false),
            Mended = () => new DeferredSyncEntry(isBehindFlush: true),
        },
        new(31, "A displacement torn at a boundary")
        {
            Reference = "HotSpot's bugs 4506997 and 4479829; nativeInst_x86.cpp",
            Ingredients = "fetches torn between chunks",
            Fix = "calls aligned so that their displacement crosses no boundary",
            Model = FetchModel.AmdAsync,
            Broken = () => SetDestination.At(6),
            Mended = () => SetDestination.At(3),
        },
        new(32, "A sync is left out")
        {
            Reference = "comment in commit fd4363fff3d9: the second sync is \"very likely not necessary\" on Intel",
            Ingredients = "stale fetches, chunk by chunk",
            Fix = "a sync after INT3, after the tail, and after the first byte",
            Model = FetchModel.AmdAsync,
            Broken = () => DroppedSync.After(TextPokeBp.PhaseTail),
            Mended = DroppedSync.None,
        },
        new(33, "The recovery takes a probe's INT3 for its own")
        {
            Reference = "analysis of text_poke_bp_list() of the series of November 2013",
            Ingredients = "a kprobe on a site",
            Fix = "every site is compared before the first is touched; or the recovery knows which INT3s it has written",
            Model = FetchModel.Ideal,
            Broken = () => new RecoveredForeignInt3(comparesFirst: false),
            Mended = () => new RecoveredForeignInt3(comparesFirst: true),
        },
        new(34, "A probe that is being unoptimised is misread")
        {
            Reference = "mended by 868a6fc0ca24",
            Ingredients = "two kprobes, a jump that waits to be removed",
            Fix = "whoever copies code knows the state between",
            Model = FetchModel.Ideal,
            Broken = () => new UnoptimisingProbe(knowsUnoptimising: false),
            Mended = () => new UnoptimisingProbe(knowsUnoptimising: true),
        },
        new(35, "The line of the count of references is drawn from CPU to CPU")
        {
            Reference = "mended by 4334336e769b; lore, 2025, CANn89i+fmyJ8p=vBpwBy38yhVMCJv8XjrTkrXSUnSGedboCM_Q@mail.gmail.com",
            Ingredients = "the cost of contended cache lines",
            Fix = "a count of references for each CPU",
            Missing = "A violation: it costs time only, and exploration knows no time. Nor do the cost models have owners of cache lines: an access of a kernel variable costs the same wherever its line was last, and nobody queues for a line. What can be counted are the transfers of the line.",
        },
    ];
}
