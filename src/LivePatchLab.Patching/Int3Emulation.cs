using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// What poke_int3_handler() does in place of the instruction whose first byte is INT3 for now, since Linux 5.5 (commit c3d6324f841b): it changes the
/// frame so that IRET goes on as if the instruction had been executed.
/// </summary>
/// <remarks>
/// Emulating CALL pushes a return address on the interrupted stack, and #BP's frame lies directly below that stack's top. So the entry code leaves a
/// gap: it copies the frame of five words, and one more, further down (arch/x86/entry/entry_64.S, commit 2700fefdb2d9). Without the gap:
///   rsp          ...             the interrupted stack, here at a multiple of 16
///   rsp -  8     saved SS        the return address is written over it, and IRET faults
///   rsp - 16     saved RSP
///   rsp - 40     saved RIP
/// The processor aligns a frame to 16 bytes (SDM volume 3, "64-Bit Mode Stack Frame"): where RSP is no multiple of 16, eight bytes are free by luck.
/// </remarks>
/// <param name="kernel">The kernel whose CPUs trap.</param>
/// <param name="entryStackGapBytes">How far below the hardware's frame the entry code puts its copy; 0 where it makes none.</param>
[KernelName("int3_emulate_call", File = "arch/x86/include/asm/text-patching.h", Version = "v5.5")]
public sealed class Int3Emulation(LinuxKernel kernel, int entryStackGapBytes = Int3Emulation.EntryStackGapBytes)
{
    /// <summary>Six words: what idtentry leaves for X86_TRAP_BP.</summary>
    public const int EntryStackGapBytes = 6 * WordBytes;

    private const int WordBytes = 8;
    private const int CallLength = 5;

    // RFLAGS bits, SDM volume 1, figure 3-8.
    private const ulong Carry = 1 << 0, Parity = 1 << 2, Zero = 1 << 6, Sign = 1 << 7, Overflow = 1 << 11;

    private static readonly ulong[] JccMask = [Overflow, Carry, Zero, Carry | Zero, Sign, Parity];

    /// <summary>Looks a trap's location up, and emulates it: the part that the handlers of all versions since have in common.</summary>
    public IEnumerable<KernelStep> Handle(Cpu cpu, TrapFrame regs, IReadOnlyList<TextPokeLoc> vec, int entries)
    {
        var lookup = new Int3Lookup(vec, entries, regs.Rip - 1);
        yield return lookup;
        if (lookup.OutOfBounds is { } index) yield return kernel.RaiseBug($"poke_int3_handler: page fault on {cpu.Id}: it reads vec[{index}] of an array that has {vec.Count}", BugKind.OutOfBounds);
        else if (lookup.Found is { } tp) yield return KernelStep.Call(Emulate(cpu, regs, tp));
    }

    private IEnumerable<KernelStep> Emulate(Cpu cpu, TrapFrame regs, TextPokeLoc tp)
    {
        switch (tp.Opcode)
        {
            case TextPokeLoc.Int3:
                // Somebody has poked an INT3 that is meant, and wants to handle it: it is not consumed here.
                yield break;
            case TextPokeLoc.Ret:
                var pop = new StackLoad(regs.Rsp);
                yield return pop;
                if (!pop.Succeeded)
                {
                    yield return kernel.RaiseBug($"int3_emulate_ret: page fault on {cpu.Id}: nothing is mapped at {regs.Rsp}", BugKind.Stack);
                    yield break;
                }

                regs.Rsp += WordBytes;
                regs.Rip = new(pop.Word);
                break;
            case TextPokeLoc.Call:
                yield return KernelStep.Call(Push(cpu, regs, tp.Address + CallLength));
                if (kernel.Bug is not null) yield break;
                regs.Rip = tp.Target;
                break;
            case TextPokeLoc.Jmp32 or TextPokeLoc.Jmp8:
                regs.Rip = tp.Target;
                break;
            default:
                regs.Rip = Holds(tp.Opcode & 0xf, regs.Rflags) ? tp.Target : tp.End;
                break;
        }

        regs.Consumed = true;
    }

    private IEnumerable<KernelStep> Push(Cpu cpu, TrapFrame regs, GuestAddress value)
    {
        var slot = regs.Rsp - WordBytes;
        var frameEnd = regs.Rsp.AlignDown(16) - entryStackGapBytes;
        if (slot < frameEnd)
        {
            yield return kernel.RaiseBug($"int3_emulate_push: on {cpu.Id} the return address {value} overwrites the saved SS of its own exception frame at {slot}", BugKind.Stack);
            yield break;
        }

        var push = new StackStore(slot, value.Value);
        yield return push;
        if (push.Succeeded) regs.Rsp = slot;
        else yield return kernel.RaiseBug($"int3_emulate_push: page fault on {cpu.Id}: nothing is mapped at {slot}", BugKind.Stack);
    }

    /// <summary>int3_emulate_jcc(): whether a condition, by the low four bits of its opcode, holds.</summary>
    private static bool Holds(int condition, ulong flags)
    {
        var isMet = condition < 0xc
            ? (flags & JccMask[condition >> 1]) != 0
            : ((flags & Sign) != 0) != ((flags & Overflow) != 0) || (condition >= 0xe && (flags & Zero) != 0);
        return isMet != ((condition & 1) != 0);
    }

    private sealed class StackStore(GuestAddress address, ulong word) : KernelStep
    {
        public bool Succeeded { get; private set; }

        public override string Describe() => $"push {new GuestAddress(word)}";

        protected override long Execute(Cpu cpu)
        {
            Succeeded = cpu.Machine.Memory.IsMapped(address, WordBytes);
            if (Succeeded) cpu.Machine.Memory.LoadUInt64(address, word);
            return cpu.Machine.Costs.VariableAccess;
        }
    }

    private sealed class StackLoad(GuestAddress address) : KernelStep
    {
        public bool Succeeded { get; private set; }

        public ulong Word { get; private set; }

        public override string Describe() => "pop";

        protected override long Execute(Cpu cpu)
        {
            Succeeded = cpu.Machine.Memory.IsMapped(address, WordBytes);
            if (Succeeded) Word = cpu.Machine.Memory.ReadUInt64(address);
            return cpu.Machine.Costs.VariableAccess;
        }
    }
}
