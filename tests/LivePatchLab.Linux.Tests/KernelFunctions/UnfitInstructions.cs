using Iced.Intel;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

/// <summary>Watches for instructions by which the machine and a process of this computer may rightly differ.</summary>
internal sealed class UnfitInstructions(SmpMachine machine, GuestAddress returnAddress)
{
    private static readonly HashSet<Mnemonic> EachProcessorsOwn =
    [
        Mnemonic.Cpuid, Mnemonic.Rdtsc, Mnemonic.Rdtscp, Mnemonic.Rdpid, Mnemonic.Rdrand, Mnemonic.Rdseed, Mnemonic.Rdpmc, Mnemonic.Xgetbv, Mnemonic.Rdpkru, Mnemonic.Wrpkru,
        Mnemonic.Syscall, Mnemonic.Sysenter, Mnemonic.Int, Mnemonic.Int3, Mnemonic.Iretq, Mnemonic.Retf, Mnemonic.Popfq, Mnemonic.Pushfq,
        Mnemonic.Sgdt, Mnemonic.Sidt, Mnemonic.Sldt, Mnemonic.Str, Mnemonic.Smsw, Mnemonic.Lar, Mnemonic.Lsl, Mnemonic.Verr, Mnemonic.Verw,
        Mnemonic.Rdfsbase, Mnemonic.Rdgsbase, Mnemonic.Wrfsbase, Mnemonic.Wrgsbase, Mnemonic.Vmcall, Mnemonic.Vmmcall,
    ];

    private readonly Dictionary<ulong, bool> _known = [];

    public bool WereExecuted { get; private set; }

    public void Begin()
    {
        WereExecuted = false;
        machine.Events.Retired += OnRetired;
    }

    public void End() => machine.Events.Retired -= OnRetired;

    /// <summary>True where the instruction that faulted is one of them, or one that the machine does not have.</summary>
    public bool IsAt(GuestAddress? rip) => rip is { } at && machine.Memory.IsMapped(at, 1) && (IsUnfit(at) || Decode(at) is { IsInvalid: false } instruction && InstructionTable.Of(instruction) is UndefinedInstruction && instruction.Mnemonic != Mnemonic.Ud2);

    private void OnRetired(RetiredEvent retired)
    {
        if (retired.Rip != returnAddress) WereExecuted |= IsUnfit(retired.Rip);
    }

    private bool IsUnfit(GuestAddress rip)
    {
        if (_known.TryGetValue(rip.Value, out var unfit)) return unfit;
        var instruction = Decode(rip);
        var usesSelectors = Enumerable.Range(0, instruction.OpCount).Any(i => instruction.GetOpKind(i) == OpKind.Register && instruction.GetOpRegister(i).IsSegmentRegister());
        return _known[rip.Value] = instruction.IsPrivileged || usesSelectors || instruction.MemorySegment == Register.FS || EachProcessorsOwn.Contains(instruction.Mnemonic);
    }

    private Instruction Decode(GuestAddress rip)
    {
        var length = 15;
        while (!machine.Memory.IsMapped(rip, length)) length--;
        Iced.Intel.Decoder.Create(64, machine.Memory.Read(rip, length), rip.Value).Decode(out var instruction);
        return instruction;
    }
}
