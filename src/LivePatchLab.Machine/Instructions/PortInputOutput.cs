using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// IN and OUT. No device is attached: nothing drives the bus, so IN reads ones, and what OUT writes goes nowhere, as at a free port of a
/// PC. At CPL 3 with IOPL 0 they are #GP(0), as without an I/O map (SDM vol. 1, 19.5). <see cref="PortStrings"/> has INS and OUTS.
/// </summary>
internal sealed unsafe class PortInputOutput : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.In, Mnemonic.Out];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Instruction.Mnemonic == Mnemonic.In) builder.Use(typeof(PortInputOutput), nameof(Input), builder.Width(0));
        else builder.Use(typeof(PortInputOutput), nameof(Output));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Input<TWidth>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
    {
        if (!Privilege.AllowsInputOutput(cpu))
        {
            Leave.WithGeneralProtection(cpu, op, memory, budget);
            return;
        }

        TWidth.WriteRegister((byte*)&cpu->Registers[Gpr.Rax], ulong.MaxValue);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Output(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        if (Privilege.AllowsInputOutput(cpu)) ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
        else Leave.WithGeneralProtection(cpu, op, memory, budget);
    }
}
