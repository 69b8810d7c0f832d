namespace LivePatchLab.Machine;

/// <summary>The registers of guest code that does not run now: a task that was preempted, with the RIP at which it will go on.</summary>
public sealed unsafe class GuestContext
{
    private readonly ulong[] _registers = new ulong[16];
    private readonly ulong _rflags;
    private readonly int _userMode;
    private readonly CpuActivity _activity;

    internal GuestContext(Cpu cpu)
    {
        cpu.Registers.CopyTo(_registers);
        Rip = cpu.Rip;
        _rflags = cpu.Rflags;
        _userMode = cpu.State->UserMode;
        _activity = cpu.Activity;
    }

    /// <summary>Where it goes on.</summary>
    public GuestAddress Rip { get; }

    internal void RestoreTo(Cpu cpu)
    {
        var interrupts = cpu.InterruptsEnabled;
        _registers.CopyTo(cpu.Registers);
        cpu.Rip = Rip;
        cpu.Rflags = _rflags;
        cpu.InterruptsEnabled = interrupts;
        cpu.State->UserMode = _userMode;
        cpu.ResumeActivity(_activity);
    }
}
