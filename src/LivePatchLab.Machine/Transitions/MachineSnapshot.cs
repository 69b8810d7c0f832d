namespace LivePatchLab.Machine;

/// <summary>What memory and registers were at one moment, at which nothing ran: a machine can be brought back to it again and again.</summary>
public sealed unsafe class MachineSnapshot
{
    private readonly (GuestAddress Start, byte[] Bytes)[] _regions;
    private readonly CpuState[] _states;

    internal MachineSnapshot(SmpMachine machine)
    {
        _regions = [.. machine.Memory.Regions.Select(r => (r.Start, machine.Memory.Read(r.Start, checked((int)r.Length))))];
        _states = [.. machine.Cpus.Select(c => *c.State)];
    }

    internal void RestoreMemory(GuestMemory memory)
    {
        foreach (var (start, bytes) in _regions) bytes.CopyTo(new Span<byte>(memory.Origin + (long)start.Value, bytes.Length));
    }

    internal void RestoreState(Cpu cpu) => *cpu.State = _states[cpu.Id.Index];
}
