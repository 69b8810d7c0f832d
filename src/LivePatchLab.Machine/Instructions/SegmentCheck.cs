using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// VERR, VERW, LAR and LSL. The descriptors are the four flat ones that Linux runs 64-bit tasks with, at Linux's selectors, whatever LGDT
/// has loaded; every other selector is one that may not be looked at, which is ZF = 0 and never a fault (SDM vol. 2, VERR).
/// </summary>
internal sealed unsafe class SegmentCheck : InstructionFamily
{
    // Linux's descriptors as LAR shows them: type, S, DPL and P, the long-mode, size and granularity bits, and, where the SDM says
    // undefined, the limit's, as processors do (SDM vol. 2, LAR).
    private const uint KernelCode = 0xaf_9b00, KernelData = 0xcf_9300, UserCode = 0xaf_fb00, UserData = 0xcf_f300;

    private const uint Code = 1 << 11, ReadableOrWritable = 1 << 9;

    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Verr, Mnemonic.Verw, Mnemonic.Lar, Mnemonic.Lsl];

    public override bool TryBuild(OpBuilder builder)
    {
        var verifies = builder.Instruction.Mnemonic is Mnemonic.Verr or Mnemonic.Verw;
        if (!verifies && builder.Operand(0) is null) return false;

        // The selector is 16 bits wherever it is.
        if (builder.Operand(verifies ? 0 : 1) is not { } selector) return false;
        if (verifies) builder.Use(typeof(SegmentCheck), nameof(Verify), selector, builder.Instruction.Mnemonic == Mnemonic.Verw ? typeof(ForWrite) : typeof(ForRead));
        else builder.Use(typeof(SegmentCheck), nameof(Inspect), builder.Width(0), selector, builder.Instruction.Mnemonic == Mnemonic.Lar ? typeof(Rights) : typeof(Limit));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Verify<TSelector, TCheck>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TSelector : struct, IOperand
        where TCheck : struct, ICheck
    {
        if (!OperandAccess.OpensForRead<TSelector, Bits16>(cpu, op))
        {
            TSelector.Refuse(cpu, op, memory, budget);
            return;
        }

        var isGood = TCheck.Of(Descriptor(cpu, *(ushort*)OperandAccess.Readable<TSelector>(cpu, op, memory))) != 0;
        LazyFlags.Replace(cpu, LazyFlags.Zero, isGood ? LazyFlags.Zero : 0);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Inspect<TWidth, TSelector, TCheck>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TSelector : struct, IOperand
        where TCheck : struct, ICheck
    {
        if (!OperandAccess.OpensForRead<TSelector, Bits16>(cpu, op))
        {
            TSelector.Refuse(cpu, op, memory, budget);
            return;
        }

        var found = TCheck.Of(Descriptor(cpu, *(ushort*)OperandAccess.Readable<TSelector>(cpu, op, memory)));
        if (found != 0) TWidth.WriteRegister((byte*)cpu + op->Destination, found);
        LazyFlags.Replace(cpu, LazyFlags.Zero, found != 0 ? LazyFlags.Zero : 0);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    /// <summary>0 where there is none, or none for this privilege level and that of the selector.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static uint Descriptor(CpuState* cpu, ushort selector)
    {
        var descriptor = (selector & ~3) switch
        {
            0x10 => KernelCode,
            0x18 => KernelData,
            0x28 => UserData,
            0x30 => UserCode,
            _ => 0u,
        };
        var level = Math.Max(cpu->UserMode != 0 ? 3 : 0, selector & 3);
        return level > (int)((descriptor >> 13) & 3) ? 0 : descriptor;
    }

    /// <summary>What a descriptor comes to; 0 where it fails the check.</summary>
    internal interface ICheck
    {
        static abstract uint Of(uint descriptor);
    }

    private readonly struct ForRead : ICheck
    {
        public static uint Of(uint descriptor) => (descriptor & Code) == 0 || (descriptor & ReadableOrWritable) != 0 ? descriptor : 0;
    }

    private readonly struct ForWrite : ICheck
    {
        public static uint Of(uint descriptor) => (descriptor & Code) == 0 && (descriptor & ReadableOrWritable) != 0 ? descriptor : 0;
    }

    private readonly struct Rights : ICheck
    {
        public static uint Of(uint descriptor) => descriptor;
    }

    private readonly struct Limit : ICheck
    {
        public static uint Of(uint descriptor) => descriptor != 0 ? uint.MaxValue : 0;
    }
}
