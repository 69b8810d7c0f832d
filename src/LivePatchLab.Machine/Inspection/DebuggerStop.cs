namespace LivePatchLab.Machine;

/// <summary>Where and why a <see cref="Debugger"/> came back.</summary>
/// <param name="Reason">Why.</param>
/// <param name="Cpu">The CPU at the breakpoint, or the one that retired the last instruction, or the one that faulted; null where it is nobody's.</param>
/// <param name="Rip">The next instruction of that CPU, or the one that faulted.</param>
/// <param name="Text">The same in one line, with the instruction.</param>
public sealed record DebuggerStop(MachineStop Reason, CpuId? Cpu, GuestAddress? Rip, string Text)
{
    public override string ToString() => Text;

    internal static DebuggerStop Of(SmpMachine machine, MachineStop reason, Cpu? cpu) => reason switch
    {
        MachineStop.Fault => new(reason, machine.Fault!.Cpu, machine.Fault.Rip, machine.Fault.ToString()),
        MachineStop.Breakpoint => new(reason, cpu!.Id, cpu.Rip, $"{cpu.Id} before {cpu.DescribeNext()}"),
        MachineStop.Stepped when cpu!.Activity != CpuActivity.Guest => new(reason, cpu.Id, cpu.Rip, $"{cpu.Id} executes no guest code any more"),
        MachineStop.Stepped => new(reason, cpu.Id, cpu.Rip, $"{cpu.Id}, next {cpu.DescribeNext()}"),
        MachineStop.Idle => new(reason, null, null, "nothing is left to do: every CPU is idle, halted or offline"),
        MachineStop.Deadlock => new(reason, null, null, "deadlock: " + string.Join("; ", machine.Waiting())),
        _ => new(reason, null, null, "stopped by request"),
    };
}
