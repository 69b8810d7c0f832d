namespace LivePatchLab.Machine;

/// <summary>What memory and registers were at one moment, at which nothing ran: a machine can be brought back to it again and again.</summary>
public sealed unsafe class MachineSnapshot
{
    private readonly (GuestAddress Start, byte[] Bytes)[] _regions;
    private readonly CpuState[] _states;

    /// <summary>What differs from this snapshot, for as long as it is the one that memory was brought back to last.</summary>
    private readonly StoredLines _stored = new();

    internal MachineSnapshot(SmpMachine machine)
    {
        _regions = [.. machine.Memory.Regions.Select(r => (r.Start, machine.Memory.Read(r.Start, checked((int)r.Length))))];
        _states = [.. machine.Cpus.Select(c => *c.State)];
        machine.Memory.Stored = _stored;
    }

    internal void RestoreMemory(GuestMemory memory)
    {
        if (memory.Stored == _stored && !_stored.IsAnywhere)
        {
            RestoreWritablePages(memory);
            foreach (var line in _stored.Lines) RestoreLine(memory, line);
        }
        else
        {
            foreach (var (start, bytes) in _regions) bytes.CopyTo(new Span<byte>(memory.Origin + (long)start.Value, bytes.Length));
        }

        memory.Stored = _stored;
        _stored.Clear();
    }

    internal void RestoreState(Cpu cpu) => *cpu.State = _states[cpu.Id.Index];

    private void RestoreWritablePages(GuestMemory memory)
    {
        foreach (var (start, bytes) in _regions)
        {
            for (var offset = 0; offset < bytes.Length; offset += GuestMemory.PageBytes)
            {
                var page = start + offset;
                if ((memory.PageFlags[GuestMemory.PageOf(page)] & (byte)PagePermissions.Write) == 0) continue;
                bytes.AsSpan(offset, GuestMemory.PageBytes).CopyTo(new Span<byte>(memory.Origin + (long)page.Value, GuestMemory.PageBytes));
            }
        }
    }

    private void RestoreLine(GuestMemory memory, ulong line)
    {
        foreach (var (start, bytes) in _regions)
        {
            var offset = line - start.Value;
            if (offset >= (ulong)bytes.Length) continue;
            bytes.AsSpan((int)offset, StoredLines.LineBytes).CopyTo(new Span<byte>(memory.Origin + (long)line, StoredLines.LineBytes));
            return;
        }
    }
}
