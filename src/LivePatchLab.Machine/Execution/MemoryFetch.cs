namespace LivePatchLab.Machine;

/// <summary>Instruction bytes straight from memory, for lines of which there is only one version.</summary>
internal sealed unsafe class MemoryFetch(GuestMemory memory) : InstructionFetch
{
    private ulong _rip;

    public override void Begin(ulong rip)
    {
        base.Begin(rip);
        _rip = rip;
    }

    protected override int Fetch(int index)
    {
        var address = _rip + (ulong)index;
        if ((ulong)(int)address != address) return -1;
        return (memory.PageFlags[(uint)address >> 12] & (byte)PagePermissions.Execute) != 0 ? memory.Origin[(int)address] : -1;
    }
}
