using Iced.Intel;
using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Linux;

/// <summary>
/// The functions of a synthetic text: NOP5, work on rax, rcx and rdx that touches no memory, ret. They are position independent,
/// so a catalogue is assembled once and copied to thirty thousand sites.
/// </summary>
internal static class SyntheticBodies
{
    private const int Variants = 256;

    /// <summary>The NOP that a site holds while nobody traces it (x86_nops[5] of arch/x86/kernel/alternative.c; SDM volume 2, NOP).</summary>
    public static readonly byte[] Nop5 = [0x0f, 0x1f, 0x44, 0x00, 0x00];

    /// <summary>One step of work; the shortest is two bytes, so that a body fits the ten bytes between the closest sites of 6.1.</summary>
    private static readonly Action<Assembler, byte>[] Steps =
    [
        (c, _) => c.xor(eax, eax),
        (c, _) => c.mov(edx, ecx),
        (c, _) => c.add(eax, edx),
        (c, n) => c.add(rax, (sbyte)(n & 0x7f)),
        (c, n) => c.lea(rcx, __[rax + (rdx * 4) + (n & 0x7f)]),
        (c, _) => c.xor(rdx, rcx),
        (c, n) => c.rol(rax, (byte)((n & 31) + 1)),
        (c, n) => c.mov(ecx, n * 0x01010101u),
        (c, _) => c.sub(rcx, rax),
        (c, n) => c.and(rdx, (sbyte)(n & 0x7f)),
        (c, _) => c.movzx(eax, cl),
        (c, _) => c.imul(rax, rcx),
        (c, _) => c.not(rdx),
        (c, n) => c.shl(rcx, (byte)((n & 7) + 1)),
        (c, _) => c.test(rax, rcx),
        (c, _) => c.setne(al),
    ];

    /// <summary>By length; within a length in the order of their making.</summary>
    private static readonly byte[][] Catalogue = MakeCatalogue();

    /// <summary>For each room up to the longest function, how many entries of the catalogue fit it.</summary>
    private static readonly int[] FittingCount = [.. Enumerable.Range(0, Catalogue[^1].Length + 1).Select(room => Catalogue.Count(function => function.Length <= room))];

    public static int LongestFunction => Catalogue[^1].Length;

    /// <summary>A function that fits the room up to the next site; the address alone decides which.</summary>
    public static ReadOnlySpan<byte> FunctionFor(GuestAddress address, long room)
    {
        var fitting = FittingCount[Math.Min(room, LongestFunction)];
        // Between sites closer than NOP5 and ret, the NOP5 alone stays: execution goes on into the next function.
        return fitting == 0 ? Nop5 : Catalogue[Mix(address.Value) % (uint)fitting];
    }

    private static byte[][] MakeCatalogue()
    {
        var functions = new List<byte[]>(Variants);
        for (var variant = 0; variant < Variants; variant++)
        {
            var random = Mix((ulong)variant);
            var steps = variant % 16;
            functions.Add([.. Nop5, .. TracedText.Assemble(default, c =>
            {
                for (var step = 0; step < steps; step++)
                {
                    random = Mix(random);
                    Steps[random % (uint)Steps.Length](c, (byte)(random >> 32));
                }

                c.ret();
            })]);
        }

        return [.. functions.OrderBy(function => function.Length)];
    }

    /// <summary>The finaliser of SplitMix64 (Steele, Lea, Flood 2014): near addresses get unrelated bodies.</summary>
    private static ulong Mix(ulong value)
    {
        unchecked
        {
            value += 0x9e3779b97f4a7c15;
            value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
            value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
            return value ^ (value >> 31);
        }
    }
}
