using Iced.Intel;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>Makes bytes of the instructions of litmus tests. Jumps are always long, so that lengths do not depend on distances.</summary>
internal static class LitmusEncoder
{
    private static readonly Dictionary<string, Code> Plain = new()
    {
        ["cpuid"] = Code.Cpuid,
        ["serialize"] = Code.Serialize,
        ["mfence"] = Code.Mfence,
        ["lfence"] = Code.Lfence,
        ["sfence"] = Code.Sfence,
        ["pause"] = Code.Pause,
        ["nop"] = Code.Nopd,
        ["int3"] = Code.Int3,
        ["ret"] = Code.Retnq,
        ["syscall"] = Code.Syscall,
        ["cli"] = Code.Cli,
        ["sti"] = Code.Sti,
    };

    private static readonly Dictionary<string, Code> Branches = new()
    {
        ["jmp"] = Code.Jmp_rel32_64,
        ["call"] = Code.Call_rel32_64,
        ["je"] = Code.Je_rel32_64,
        ["jne"] = Code.Jne_rel32_64,
        ["jb"] = Code.Jb_rel32_64,
        ["ja"] = Code.Ja_rel32_64,
    };

    private static readonly Dictionary<string, Code> Unary = new() { ["inc"] = Code.Inc_rm64, ["dec"] = Code.Dec_rm64 };

    /// <summary>Of each: register or memory and register, register and memory, register or memory and number.</summary>
    private static readonly Dictionary<string, (Code Store, Code Load, Code Immediate)> Binary = new()
    {
        ["mov"] = (Code.Mov_rm64_r64, Code.Mov_r64_rm64, Code.Mov_rm64_imm32),
        ["add"] = (Code.Add_rm64_r64, Code.Add_r64_rm64, Code.Add_rm64_imm32),
        ["sub"] = (Code.Sub_rm64_r64, Code.Sub_r64_rm64, Code.Sub_rm64_imm32),
        ["cmp"] = (Code.Cmp_rm64_r64, Code.Cmp_r64_rm64, Code.Cmp_rm64_imm32),
        ["and"] = (Code.And_rm64_r64, Code.And_r64_rm64, Code.And_rm64_imm32),
        ["xor"] = (Code.Xor_rm64_r64, Code.Xor_r64_rm64, Code.Xor_rm64_imm32),
        ["xchg"] = (Code.Xchg_rm64_r64, Code.INVALID, Code.INVALID),
    };

    /// <summary>All that there are.</summary>
    public static IReadOnlyList<string> Mnemonics { get; } = [.. Binary.Keys, .. Unary.Keys, .. Branches.Keys, .. Plain.Keys];

    /// <summary>Why an instruction cannot be had, or null.</summary>
    public static string? Complaint(LitmusMnemonic instruction)
    {
        var kinds = instruction.Operands.Select(o => o.Kind).ToArray();
        var name = instruction.Mnemonic;
        var isRight = Plain.ContainsKey(name) ? kinds is []
            : Branches.ContainsKey(name) ? kinds is [LitmusOperandKind.Label]
            : Unary.ContainsKey(name) ? kinds is [LitmusOperandKind.Register or LitmusOperandKind.Variable]
            : kinds is [LitmusOperandKind.Register, LitmusOperandKind.Register or LitmusOperandKind.Variable or LitmusOperandKind.Number] or [LitmusOperandKind.Variable, LitmusOperandKind.Register or LitmusOperandKind.Number];
        if (isRight && CodeOf(instruction) == Code.INVALID) isRight = false;
        if (!isRight)
        {
            var wanted = Plain.ContainsKey(name) ? "takes no operand"
                : Branches.ContainsKey(name) ? "takes a label"
                : Unary.ContainsKey(name) ? "takes a register or a variable in brackets"
                : "takes a register or a variable in brackets, and then a register, a number, or a variable in brackets; at most one variable";
            return $"{name} {wanted}";
        }

        if (instruction.Operands.Any(o => o.Kind == LitmusOperandKind.Number && o.Number != (int)o.Number)) return $"{name} takes numbers of 32 bits";
        return instruction.IsLocked && (instruction.Operands is not [{ Kind: LitmusOperandKind.Variable }, ..] || name is "mov" or "cmp") ? "lock goes with inc, dec, add, sub, and, xor or xchg of a variable" : null;
    }

    /// <summary>The bytes of an instruction.</summary>
    /// <param name="instruction">One that <see cref="Complaint"/> has nothing against.</param>
    /// <param name="address">Where it stands.</param>
    /// <param name="variableAt">Where variables are.</param>
    /// <param name="labelAt">Where labels are.</param>
    public static byte[] Encode(LitmusMnemonic instruction, GuestAddress address, Func<string, GuestAddress> variableAt, Func<string, GuestAddress> labelAt)
    {
        var code = CodeOf(instruction);
        var encoded = instruction.Operands switch
        {
            [] => Instruction.Create(code),
            [{ Kind: LitmusOperandKind.Label } label] => Instruction.CreateBranch(code, labelAt(label.Name).Value),
            [{ Kind: LitmusOperandKind.Register } one] => Instruction.Create(code, RegisterOf(one)),
            [var one] => Instruction.Create(code, MemoryOf(variableAt(one.Name))),
            [{ Kind: LitmusOperandKind.Variable } to, { Kind: LitmusOperandKind.Number } number] => Instruction.Create(code, MemoryOf(variableAt(to.Name)), (int)number.Number),
            [{ Kind: LitmusOperandKind.Variable } to, var from] => Instruction.Create(code, MemoryOf(variableAt(to.Name)), RegisterOf(from)),
            [var to, { Kind: LitmusOperandKind.Number } number] => Instruction.Create(code, RegisterOf(to), (int)number.Number),
            [var to, { Kind: LitmusOperandKind.Variable } from] => Instruction.Create(code, RegisterOf(to), MemoryOf(variableAt(from.Name))),
            [var to, var from, ..] => Instruction.Create(code, RegisterOf(to), RegisterOf(from)),
        };
        encoded.HasLockPrefix = instruction.IsLocked;
        return Encode(encoded, address);
    }

    /// <summary>A store of 1, 2, 4 or 8 bytes through R11.</summary>
    public static byte[] EncodeStore(GuestAddress to, ReadOnlySpan<byte> bytes, GuestAddress address)
    {
        var value = 0UL;
        for (var i = bytes.Length - 1; i >= 0; i--) value = (value << 8) | bytes[i];
        var load = Encode(Instruction.Create(Code.Mov_r64_imm64, Register.R11, value), address);
        var (code, register) = bytes.Length switch
        {
            1 => (Code.Mov_rm8_r8, Register.R11L),
            2 => (Code.Mov_rm16_r16, Register.R11W),
            4 => (Code.Mov_rm32_r32, Register.R11D),
            _ => (Code.Mov_rm64_r64, Register.R11),
        };
        return [.. load, .. Encode(Instruction.Create(code, MemoryOf(to), register), address + load.Length)];
    }

    private static Code CodeOf(LitmusMnemonic instruction)
    {
        var name = instruction.Mnemonic;
        if (Plain.TryGetValue(name, out var code) || Branches.TryGetValue(name, out code) || Unary.TryGetValue(name, out code)) return code;
        var codes = Binary[name];
        return instruction.Operands[1].Kind switch
        {
            LitmusOperandKind.Number => codes.Immediate,
            LitmusOperandKind.Variable => codes.Load,
            _ => codes.Store,
        };
    }

    private static byte[] Encode(Instruction instruction, GuestAddress address)
    {
        var writer = new ByteWriter();
        if (!Encoder.Create(64, writer).TryEncode(instruction, address.Value, out _, out var error)) throw new BadInputException($"{instruction}: {error}");
        return writer.ToArray();
    }

    private static MemoryOperand MemoryOf(GuestAddress address) => new(Register.None, Register.None, 1, (long)address.Value, 8);

    private static Register RegisterOf(LitmusOperand operand)
        => Enum.Parse<Register>(operand.Name, ignoreCase: true);

    private sealed class ByteWriter : CodeWriter
    {
        private readonly List<byte> _bytes = [];

        public override void WriteByte(byte value) => _bytes.Add(value);

        public byte[] ToArray() => [.. _bytes];
    }
}
