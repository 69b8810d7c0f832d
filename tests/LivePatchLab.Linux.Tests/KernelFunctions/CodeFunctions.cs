using System.Buffers.Binary;

namespace LivePatchLab.Linux.Tests;

/// <summary>Functions that run, read or change code: the BPF interpreter, the kernel's own decoder, and its patching.</summary>
internal static class CodeFunctions
{
    private const byte Int3 = 0xcc;

    public static FunctionGroup[] Groups { get; } =
    [
        new("the BPF interpreter", Bpf),
        new("insn_decode", InsnDecode),
        new("text_poke_early", kernel =>
        {
            var code = kernel.Buffer(64);
            foreach (var length in (int[])[1, 5, 15])
            {
                var bytes = kernel.Draw.Bytes(length);
                kernel.Call("text_poke_early", code, kernel.Buffer(bytes), length);
                code.ToArray()[..length].ShouldBe(bytes);
            }
        })
        { IsPrivileged = true },
        new("poke_int3_handler", kernel =>
        {
            // struct pt_regs of arch/x86/include/asm/ptrace.h: ip is the 17th word, cs the 18th. Nothing is being patched: not ours.
            var regs = kernel.Buffer(168);
            regs.Write(BitConverter.GetBytes(kernel.AddressOf(kernel.Image.TextFtraceSites[0].Address).Value + 1), 128);
            regs.Write([0x10], 136);
            kernel.CallInt("poke_int3_handler", regs).ShouldBe(0);
        }),
    ];

    /// <summary>A straight program of 64-bit arithmetic with immediates, and what it must leave in r0 (Documentation/bpf/instruction-set.rst).</summary>
    private static void Bpf(KernelUnderTest kernel)
    {
        const byte add = 0x07, sub = 0x17, mul = 0x27, div = 0x37, or = 0x47, and = 0x57, lsh = 0x67, rsh = 0x77, mod = 0x97, xor = 0xa7, mov = 0xb7, arsh = 0xc7, exit = 0x95;
        Run([(mov, 6), (mul, 7)]).ShouldBe(42u);
        for (var i = 0; i < 30; i++)
        {
            var program = new List<(byte Opcode, int Immediate)> { (mov, (int)kernel.Draw.Interesting()) };
            for (var length = kernel.Draw.Below(20); length > 0; length--)
            {
                var opcode = kernel.Draw.Of(add, sub, mul, div, or, and, lsh, rsh, mod, xor, mov, arsh);
                var immediate = (int)kernel.Draw.Interesting();
                program.Add((opcode, opcode is lsh or rsh or arsh ? immediate & 63 : opcode is div or mod && immediate == 0 ? 1 : immediate));
            }

            var expected = 0UL;
            foreach (var (opcode, immediate) in program) expected = Evaluate(opcode, expected, (ulong)immediate);
            Run(program).ShouldBe(expected, string.Join(' ', program.Select(p => $"{p.Opcode:x2}:{p.Immediate:x}")));
        }

        ulong Run(List<(byte Opcode, int Immediate)> program)
        {
            var code = new byte[8 * (program.Count + 1)];
            for (var i = 0; i < program.Count; i++)
            {
                code[8 * i] = program[i].Opcode;
                BinaryPrimitives.WriteInt32LittleEndian(code.AsSpan((8 * i) + 4), program[i].Immediate);
            }

            code[8 * program.Count] = exit;
            return kernel.Call("__bpf_prog_run32", 0, kernel.Buffer(code));
        }

        static ulong Evaluate(byte opcode, ulong value, ulong immediate) => opcode switch
        {
            add => value + immediate,
            sub => value - immediate,
            mul => value * immediate,
            div => value / immediate,
            or => value | immediate,
            and => value & immediate,
            lsh => value << (int)immediate,
            rsh => value >> (int)immediate,
            mod => value % immediate,
            xor => value ^ immediate,
            mov => immediate,
            arsh => (ulong)((long)value >> (int)immediate),
            _ => throw new ArgumentOutOfRangeException(nameof(opcode)),
        };
    }

    /// <summary>The kernel's decoder and Iced must agree on the length of instructions of the kernel's own text.</summary>
    private static void InsnDecode(KernelUnderTest kernel)
    {
        // struct insn of arch/x86/include/asm/insn.h, v6.1: nine fields of 8 bytes, two ints, then opnd_bytes, addr_bytes, length.
        const int insnBytes = 96, lengthOffset = 82, instructionBytesMax = 15, mode64 = 1;
        var compared = 0;
        for (var i = 0; i < 40; i++)
        {
            var start = kernel.Image.TextFtraceSites[kernel.Draw.Below(kernel.Image.TextFtraceSites.Count)].Address;
            if (!kernel.Image.Elf.TryBytesAt(start, 64, out var bytes)) continue;
            var text = bytes.ToArray();
            var code = kernel.Buffer(text);
            var decoder = Iced.Intel.Decoder.Create(64, text, start.Value);
            for (var at = 0; at < text.Length - instructionBytesMax;)
            {
                decoder.Decode(out var instruction);
                if (instruction.IsInvalid || text[at] == Int3) break;
                var insn = kernel.Buffer(insnBytes);
                kernel.CallInt("insn_decode", insn, code + at, instructionBytesMax, mode64).ShouldBe(0, $"{instruction} at {start + at}");
                ((int)insn.ToArray()[lengthOffset]).ShouldBe(instruction.Length, $"{instruction} at {start + at}");
                at += instruction.Length;
                compared++;
            }
        }

        compared.ShouldBeGreaterThan(100);
    }
}
