namespace LivePatchLab.Machine;

/// <summary>Instruction bytes as the fetch model lets one CPU see them, for dirty lines.</summary>
internal sealed class ModelFetch(ICodeSource code) : InstructionFetch
{
    public CpuId Cpu { get; set; }

    /// <summary>How many instructions the CPU has retired since it was given to the interpreter.</summary>
    public long RetiredInRun { get; set; }

    public override void Begin(ulong rip)
    {
        base.Begin(rip);
        code.BeginFetch(Cpu, new GuestAddress(rip), RetiredInRun);
    }

    protected override int Fetch(int index) => code.FetchByte(index);
}
