namespace LivePatchLab.Machine;

/// <summary>
/// Maintains the lines of some bytes, as DC CVAU and IC IVAU do on Arm: what they hold now is what every CPU fetches from them once it
/// has serialised. Where the fetch model keeps the instruction cache coherent, it only takes its time. May be shared.
/// </summary>
public sealed class InvalidateInstructionCache(GuestAddress address, int length, long costCycles) : KernelStep
{
    public GuestAddress Address { get; } = address;

    public int Length { get; } = length > 0 ? length : throw new ArgumentOutOfRangeException(nameof(length), length, "at least one byte is to be maintained");

    public override string Describe() => $"invalidate the instruction cache at {Address}, {Length} byte{(Length == 1 ? "" : "s")}";

    protected internal override long Execute(Cpu cpu)
    {
        cpu.Machine.Versions.Maintain(Address, Length);

        // To whoever fetches, it is as if the bytes were stored now.
        if (!cpu.Machine.Fetch.IcacheCoherent) cpu.Machine.NoteCodeStore(cpu, Address, Length);
        return costCycles;
    }
}
