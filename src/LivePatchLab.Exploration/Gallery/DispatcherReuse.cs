using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>B26: BPF's dispatcher fills one half of its image while a CPU that came in two updates ago is still there.</summary>
/// <param name="waitsForReaders">Whether an update waits for a grace period.</param>
internal sealed class DispatcherReuse(bool waitsForReaders) : GalleryScenario
{
    private const int HalfBytes = 64;

    private static readonly GuestAddress Main = Text + 0x100, Site = Text + 0x200, Image = Text + 0x400;

    public override string Name => $"bpf_dispatcher_update {(waitsForReaders ? "with synchronize_rcu" : "without a grace period")}";

    public override Invariants CheckedUnder(FetchModel model) => Invariants.DescriptorOutlivesHandlers | Invariants.TrapsAreConsumed | Invariants.WaitsWithInterruptsOn;

    public override IEnumerable<Checker> MakeCheckers() => [new NothingWrittenUnderfoot()];

    public override void Begin(ScenarioRun run)
    {
        run.Machine.DeclareVolatile(Site, 5);
        run.Machine.DeclareVolatile(Image, 2 * HalfBytes);
        Rcu.In(run.Kernel);
        OfferDone(run.Kernel);
        run.Machine.Cpus[0].Start("bpf_dispatcher", UpdateAll(run));
    }

    protected override void LayOutCode(GuestMemory memory)
    {
        var program = new List<byte>(Gate(GuestGate.RcuReadLock));
        program.AddRange(Branch(Call, Main + program.Count, Site));
        program.AddRange([.. Gate(GuestGate.RcuReadUnlock), .. Gate(GateDone)]);
        memory.Load(Main, [.. program]);
        memory.Load(Site, [.. FtraceRecords.NopReplace(), Ret]);
    }

    private IEnumerable<KernelStep> UpdateAll(ScenarioRun run)
    {
        var dispatcher = new BpfDispatcher(new(run.Kernel, run.Machine.Cpus[0]), Site, Image, HalfBytes, waitsForReaders);
        yield return KernelStep.Call(dispatcher.Update(_ => Program(0)));
        yield return new ScenarioStep("a packet arrives at CPU 1", _ => StartGuest(run.Machine.Cpus[1], Main));
        yield return KernelStep.Call(dispatcher.Update(_ => Program(1)));
        yield return KernelStep.Call(dispatcher.Update(_ => Program(2)));
    }

    /// <summary>mov esi, number; nop; ret</summary>
    private static byte[] Program(byte number) => [0xbe, number, 0, 0, 0, 0x90, Ret];

    /// <summary>I5, for code: it is not written anew while somebody is in the middle of it.</summary>
    private sealed class NothingWrittenUnderfoot : Checker
    {
        public override Invariants Invariant => Invariants.DescriptorOutlivesHandlers;

        public override void OnCodeStored(ScenarioRun run, Cpu cpu, GuestAddress address, int length)
        {
            if (address < Image) return;
            foreach (var other in run.Machine.Cpus)
            {
                if (other.Activity == CpuActivity.Guest && other.Rip >= address && other.Rip < address + length)
                    run.Report(Invariant, other, other.Rip, $"{cpu.Id} writes another program over the half of the image at {address}, while {other.Id} executes it at {other.Rip}");
            }
        }
    }
}
