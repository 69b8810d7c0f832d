using Iced.Intel;
using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Linux;

/// <summary>Code of a probe's own: copies of the instructions it stands on, and the jump behind them.</summary>
/// <param name="Start">Where a jump over the probe's instructions leads.</param>
/// <param name="Copies">Where the copies begin.</param>
/// <param name="Code">All of it, from <paramref name="Start"/> on.</param>
/// <param name="CopiedLength">How many bytes of the probed code the copies stand for.</param>
internal sealed record KprobeSlot(GuestAddress Start, GuestAddress Copies, byte[] Code, int CopiedLength);

/// <summary>
/// Where the instructions that probes stand on are executed out of line: pages of the modules' area, as get_insn_slot() takes them. A copy ends
/// with a jump behind what it copies, which is what the kernel calls a boosted probe.
/// </summary>
internal sealed class KprobeSlots
{
    /// <summary>The modules' area of x86-64 begins at ffffffffa0000000 (Documentation/arch/x86/x86_64/mm.rst); a place in it that the lab's images leave free.</summary>
    private static readonly GuestAddress CodeStart = new(0xffff_ffff_a0f0_0000), CountersStart = new(0xffff_ffff_a0f0_8000);

    private const int SlotBytes = 128, SlotsMax = 256, CounterBytes = 8;

    private int _used;

    /// <summary>Maps the pages; again and again does no harm.</summary>
    public static void Map(SmpMachine machine)
    {
        machine.Memory.Map(CodeStart, SlotsMax * SlotBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(CountersStart, SlotsMax * CounterBytes, PagePermissions.Read | PagePermissions.Write);
    }

    /// <summary>The instruction at an address, and the jump back.</summary>
    public KprobeSlot CopyOne(GuestAddress address, byte[] code) => Build(Take(), address, code, atLeast: 1, counter: null);

    /// <summary>What a jump over five bytes leads to: counts the hit in guest code, then executes the copies.</summary>
    public KprobeSlot Detour(GuestAddress address, byte[] code)
    {
        var slot = Take();
        return Build(slot, address, code, Kprobes.JumpBytes, CounterOf(slot));
    }

    /// <summary>Where a detour counts its hits.</summary>
    public static GuestAddress CounterOf(GuestAddress slot) => CountersStart + ((slot - CodeStart) / SlotBytes * CounterBytes);

    private GuestAddress Take() => _used < SlotsMax
        ? CodeStart + (SlotBytes * (long)_used++)
        : throw new BadInputException($"more than {SlotsMax} copies of probed code: register fewer probes on one machine");

    private static KprobeSlot Build(GuestAddress slot, GuestAddress address, byte[] code, int atLeast, GuestAddress? counter)
    {
        var template = counter is { } at ? Assemble(slot, at) : [];
        var decoder = Decoder.Create(64, code, address.Value);
        var instructions = new List<Instruction>();
        var length = 0;
        while (length < atLeast)
        {
            decoder.Decode(out var instruction);
            if (instruction.IsInvalid) throw new BadInputException($"a probe at {address}: {Convert.ToHexStringLower(code)} holds no whole instructions of {atLeast} bytes");
            instructions.Add(instruction);
            length += instruction.Length;
        }

        instructions.Add(Instruction.CreateBranch(Code.Jmp_rel32_64, (address + length).Value));
        var copies = slot + template.Length;
        using var bytes = new MemoryStream();
        if (!BlockEncoder.TryEncode(64, new InstructionBlock(new StreamCodeWriter(bytes), instructions, copies.Value), out var error, out _))
            throw new BadInputException($"a probe at {address}: its instructions cannot be executed elsewhere: {error}");
        return new(slot, copies, [.. template, .. bytes.ToArray()], length);
    }

    /// <summary>The template before the copies; the kernel's calls optimized_callback() with all registers saved, this one counts and saves the flags.</summary>
    private static byte[] Assemble(GuestAddress slot, GuestAddress counter)
    {
        var assembler = new Assembler(64);
        assembler.pushfq();
        assembler.@lock.inc(__qword_ptr[counter.Value]);
        assembler.popfq();
        using var bytes = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(bytes), slot.Value);
        return bytes.ToArray();
    }
}
