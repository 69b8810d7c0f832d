using System.Buffers.Binary;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>One instruction to be written, as the handler of its INT3 needs it: what to write, and what to emulate meanwhile.</summary>
[KernelName("text_poke_loc", File = "arch/x86/kernel/alternative.c", Version = "v6.1")]
public sealed class TextPokeLoc
{
    public const byte Int3 = 0xcc, Ret = 0xc3, Call = 0xe8, Jmp32 = 0xe9, Jmp8 = 0xeb, FirstJcc8 = 0x70, LastJcc8 = 0x7f;

    private static readonly byte[] Nop2 = [0x66, 0x90], Nop5 = [0x0f, 0x1f, 0x44, 0x00, 0x00];

    private TextPokeLoc(PatchSite site) => Site = site;

    public PatchSite Site { get; }

    public GuestAddress Address => Site.Address;

    /// <summary>The new instruction.</summary>
    public ReadOnlyMemory<byte> Text => Site.NewCode;

    public int Length => Site.Length;

    /// <summary>What is emulated: <see cref="Call"/>, <see cref="Jmp32"/>, <see cref="Jmp8"/>, <see cref="Ret"/>, <see cref="Int3"/>, or a short Jcc, which stands for the long one as well.</summary>
    public byte Opcode { get; private init; }

    /// <summary>Where a call or jump goes, or a Jcc whose condition holds.</summary>
    public GuestAddress Target { get; private init; }

    /// <summary>The address behind the site.</summary>
    public GuestAddress End => Address + Length;

    /// <summary>A location of the days when no instruction was emulated: <see cref="Opcode"/> is 0.</summary>
    public static TextPokeLoc ToSkip(PatchSite site) => new(site);

    /// <summary>text_poke_loc_init(); null where the instruction cannot be emulated, which is a BUG.</summary>
    public static TextPokeLoc? ToEmulate(PatchSite site)
    {
        ReadOnlySpan<byte> code = site.Emulate ?? site.NewCode;
        if (code.Length != site.Length) return null;
        return code switch
        {
            [Int3] => new(site) { Opcode = Int3 },
            [Ret, .. var padding] when IsPadding(padding) => new(site) { Opcode = Ret },
            [Call, _, _, _, _] => Going(Call, 5),
            [Jmp32, _, _, _, _, .. var padding] when IsPadding(padding) => Going(Jmp32, 5),
            [Jmp8, _, .. var padding] when IsPadding(padding) => new(site) { Opcode = Jmp8, Target = site.Address + 2 + (sbyte)code[1] },
            [>= FirstJcc8 and <= LastJcc8, _] => new(site) { Opcode = code[0], Target = site.Address + 2 + (sbyte)code[1] },

            // Jcc with 32 bits of displacement is kept as its short form: 0f 8x as 7x.
            [0x0f, >= 0x80 and <= 0x8f, _, _, _, _] => new(site) { Opcode = (byte)(code[1] - 0x10), Target = site.Address + 6 + BinaryPrimitives.ReadInt32LittleEndian(code[2..]) },

            // A nop is emulated as a jump to the next instruction.
            _ when code.SequenceEqual(Nop2) => new(site) { Opcode = Jmp8, Target = site.Address + 2 },
            _ when code.SequenceEqual(Nop5) => new(site) { Opcode = Jmp32, Target = site.Address + 5 },
            _ => null,
        };

        static bool IsPadding(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept(Int3);

        TextPokeLoc Going(byte opcode, int opcodeLength)
            => new(site) { Opcode = opcode, Target = site.Address + opcodeLength + BinaryPrimitives.ReadInt32LittleEndian((site.Emulate ?? site.NewCode).AsSpan(1)) };
    }

    public override string ToString() => Site.ToString();
}
