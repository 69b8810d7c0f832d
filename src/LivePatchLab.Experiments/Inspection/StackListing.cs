using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>One 64-bit word of a stack.</summary>
/// <param name="Offset">From RSP, in bytes.</param>
/// <param name="Address">Where it stands.</param>
/// <param name="Value">What it is, with the name that this would be as an address.</param>
public sealed record StackWord(int Offset, GuestAddress Address, GuestValue Value);

/// <summary>The words from RSP upwards, as far as they are mapped, as they were when they were asked for.</summary>
public sealed record StackListing(CpuId Cpu, GuestAddress Rsp, IReadOnlyList<StackWord> Words)
{
    public override string ToString() => $"{Words.Count} words of the stack of {Cpu} at {Rsp}";

    internal static StackListing Of(Cpu cpu, int words)
    {
        var rsp = new GuestAddress(cpu.Rsp);
        var mapped = Enumerable.Range(0, words).Select(i => i * 8).TakeWhile(offset => cpu.Machine.Memory.IsMapped(rsp + offset, 8));
        return new(cpu.Id, rsp, [.. mapped.Select(offset => new StackWord(offset, rsp + offset, GuestValue.Of(cpu.Machine, cpu.Machine.Memory.ReadUInt64(rsp + offset))))]);
    }
}
