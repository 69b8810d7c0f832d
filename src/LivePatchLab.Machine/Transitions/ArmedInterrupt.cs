namespace LivePatchLab.Machine;

/// <summary>An interrupt that may come in at any time, once: its handler's steps run on the CPU that takes it.</summary>
internal sealed class ArmedInterrupt(string name, Func<Cpu, IEnumerable<KernelStep>> handler, bool isNmi, int slot)
{
    public string Name => name;

    public Func<Cpu, IEnumerable<KernelStep>> Handler => handler;

    public bool IsNmi => isNmi;

    public int Slot => slot;
}
