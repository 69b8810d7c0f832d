using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>Two instructions that probes stand on, nop and a nop of four bytes, and behind them the end of the task that executes them.</summary>
internal abstract class ProbedCode : Scenario
{
    private static readonly GuestAddress Text = new(0xffffffff81000000), Stack = new(0xffffffff82000000);

    protected static GuestAddress Site => Text + 0x100;

    protected static GuestAddress StackTop => Stack + 0x400;

    /// <summary>The five bytes that a jump would stand on.</summary>
    protected static ReadOnlySpan<byte> SiteCode => [0x90, 0x0f, 0x1f, 0x40, 0x00];

    /// <summary>mov eax, exit; syscall.</summary>
    protected static ReadOnlySpan<byte> Exit => [0xb8, GuestGate.Exit, 0x00, 0x00, 0x00, 0x0f, 0x05];

    public override void LayOut(SmpMachine machine)
    {
        machine.Memory.Map(Text, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Load(Site, [.. SiteCode, .. Exit]);
        machine.Memory.Map(Stack, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        Kprobes.MapSlots(machine);
        PreemptedTask.LayOut(machine);
    }
}
