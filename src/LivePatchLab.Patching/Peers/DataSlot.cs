using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// No patching at all: the instruction is <c>jmp [rip+d]</c> or <c>call [rip+d]</c> for ever, and what changes is the pointer that it reads, as in the precode
/// stubs of CoreCLR on x64 ("Book of the Runtime", method descriptors). Data is coherent, so there is nothing to wait for.
/// </summary>
/// <remarks>
///   patcher                   any other CPU
///   slot = new, one store     jmp [slot]: to the old or to the new
/// A site is the slot: eight aligned bytes of data. Who has read it just before is on the way to the old target still, so what lies there may be
/// freed only after a grace period. Each execution pays a load and an indirect jump instead.
/// </remarks>
[KernelName("FixupPrecode", File = "src/coreclr/vm/precode.h of .NET")]
public sealed class DataSlot : IPatchProtocol
{
    public const string PhaseStore = "slot";

    private const int SlotBytes = 8;

    public string Name => "data_slot";

    public string Summary => "CoreCLR's precode: an indirect jump stays, the pointer that it reads is stored; no code is written";

    public bool MaySkip => false;

    public Invariants PromisesUnder(FetchModel model)
        => Invariants.NothingTorn | Invariants.NewAfterReturn | Invariants.NobodyInside | Invariants.EffectIsOldOrNew | Invariants.WaitsWithInterruptsOn | Invariants.ForeignInt3Survives;

    public IPatcher Attach(LinuxKernel kernel) => new Patcher();

    private sealed class Patcher : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            yield return new PhaseMark(PhaseStore);
            var done = 0;
            foreach (var site in sites)
            {
                yield return kernel.NextRecord();
                if (site.NewCode is not null)
                {
                    var store = new StoreSlot(kernel.Kernel, site.Address, site.NewCode);
                    yield return store;
                    if (store.Error != 0)
                    {
                        kernel.Failure = new(store.Error, PhaseStore, done, site.Address, Recovered: true);
                        yield break;
                    }
                }

                site.IsFinished = true;
                done++;
            }
        }
    }

    /// <summary>A store of eight bytes of data. -EINVAL where the slot is not aligned, or holds code; -EFAULT where it cannot be written.</summary>
    private sealed class StoreSlot(LinuxKernel kernel, GuestAddress address, byte[] value) : KernelStep
    {
        public int Error { get; private set; }

        public override string Describe() => $"[{address}] = {Convert.ToHexStringLower(value)}";

        protected override long Execute(Cpu cpu)
        {
            Error = kernel.Faults.Try(FaultPoint.Write);
            var permissions = cpu.Machine.Memory.PermissionsAt(address);
            if (Error == 0 && (value.Length != SlotBytes || address.AlignDown(SlotBytes) != address || permissions?.HasFlag(PagePermissions.Execute) == true)) Error = Errno.Einval;
            if (Error == 0 && permissions?.HasFlag(PagePermissions.Write) != true) Error = Errno.Efault;
            if (Error == 0) cpu.Machine.Memory.Load(address, value);
            return cpu.Machine.Costs.VariableAccess;
        }
    }
}
