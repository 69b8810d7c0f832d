using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// Random instances of every implemented instruction that computes something from registers, flags and memory: any operands, and
/// register values chosen so that memory operands land in the data area.
/// </summary>
internal sealed class RandomCode(Draw draw, ulong dataAddress, int dataBytes)
{
    private static readonly Mnemonic[] NotComparable =
    [
        Mnemonic.Cpuid, Mnemonic.Rdtsc, Mnemonic.Rdtscp, Mnemonic.Hlt, Mnemonic.Syscall, Mnemonic.Cli, Mnemonic.Sti, Mnemonic.Clac, Mnemonic.Stac,
        Mnemonic.Push, Mnemonic.Pop, Mnemonic.Pushf, Mnemonic.Pushfq, Mnemonic.Popf, Mnemonic.Popfq, Mnemonic.Enter, Mnemonic.Leave,
        Mnemonic.Serialize, Mnemonic.Rdmsr, Mnemonic.Wrmsr, Mnemonic.Wbinvd, Mnemonic.Invd, Mnemonic.Invlpg, Mnemonic.Swapgs,
        Mnemonic.Rdfsbase, Mnemonic.Rdgsbase, Mnemonic.Wrfsbase, Mnemonic.Wrgsbase, Mnemonic.Std, Mnemonic.INVALID, Mnemonic.Ud0, Mnemonic.Ud1, Mnemonic.Ud2,
        Mnemonic.In, Mnemonic.Out, Mnemonic.Lgdt, Mnemonic.Lidt, Mnemonic.Sgdt, Mnemonic.Sidt, Mnemonic.Lldt, Mnemonic.Ltr, Mnemonic.Sldt, Mnemonic.Str,
        Mnemonic.Verr, Mnemonic.Verw, Mnemonic.Lar, Mnemonic.Lsl, Mnemonic.Clts, Mnemonic.Rdpmc, Mnemonic.Sysretq, Mnemonic.Retf,
        Mnemonic.Clflush, Mnemonic.Clflushopt, Mnemonic.Clwb, Mnemonic.Cldemote, Mnemonic.Prefetchwt1,
    ];

    private static readonly Code[] Codes = FindCodes();

    private readonly ulong[] _values = new ulong[16];
    private readonly bool[] _isFixed = new bool[16];

    /// <summary>What the registers must hold before, in encoding order.</summary>
    public ReadOnlySpan<ulong> Registers => _values;

    public static IReadOnlyList<Code> Comparable => Codes;

    public void Begin()
    {
        Array.Clear(_isFixed);
        for (var i = 0; i < 16; i++) _values[i] = draw.Interesting();
        _isFixed[4] = true;
    }

    /// <summary>One instruction and its bytes; an instruction needing registers that are spoken for is drawn again.</summary>
    public byte[] Next(out Instruction instruction)
    {
        while (true)
        {
            var values = (ulong[])_values.Clone();
            var isFixed = (bool[])_isFixed.Clone();
            if (TryMake(draw.Of(Codes), out instruction) && TryEncode(instruction, out var bytes) && IsAsDrawn(bytes, ref instruction)) return bytes;
            values.CopyTo(_values, 0);
            isFixed.CopyTo(_isFixed, 0);
        }
    }

    private static Code[] FindCodes()
    {
        var mnemonics = InstructionTable.Families.SelectMany(family => family.Mnemonics).Except(NotComparable).ToHashSet();
        return [.. Enum.GetValues<Code>().Where(code => IsComparable(code, mnemonics))];
    }

    private static bool IsComparable(Code code, HashSet<Mnemonic> mnemonics)
    {
        var info = code.ToOpCode();
        if (!info.IsInstruction || !info.Mode64 || !mnemonics.Contains(code.Mnemonic())) return false;

        // BEXTR with an immediate is of AMD's TBM, which is not here.
        if (info.Encoding == EncodingKind.XOP) return false;
        var instruction = new Instruction { Code = code };
        if (instruction.FlowControl != FlowControl.Next || instruction.IsStackInstruction) return false;
        for (var i = 0; i < info.OpCount; i++)
        {
            var kind = info.GetOpKind(i).ToString();
            if (kind.StartsWith('r') && !kind.StartsWith("r8") && !kind.StartsWith("r16") && !kind.StartsWith("r32") && !kind.StartsWith("r64")) return false;
            if (kind is "seg_reg" or "cr_reg" or "dr_reg" or "tr_reg" or "mem_offs" or "bnd_reg" || kind.StartsWith("xmm") || kind.StartsWith("k_")) return false;
        }

        return true;
    }

    private bool TryMake(Code code, out Instruction instruction)
    {
        instruction = new Instruction { Code = code };
        var info = code.ToOpCode();
        if (instruction.IsStringInstruction || code.Mnemonic() == Mnemonic.Xlatb) return TryMakeString(ref instruction);
        var usesMemory = draw.OneIn(2);
        var memoryBytes = instruction.MemorySize.GetSize();
        for (var i = 0; i < info.OpCount; i++)
        {
            var kind = info.GetOpKind(i).ToString();
            if (kind.StartsWith("imm")) SetImmediate(ref instruction, i, kind);
            else if (kind == "mem" || (kind.Contains("or_mem") && usesMemory))
            {
                if (!TrySetMemory(ref instruction, i, memoryBytes)) return false;
                if (i == 0 && info.CanUseLockPrefix && draw.OneIn(3)) instruction.HasLockPrefix = true;
            }
            else if (!TrySetRegister(ref instruction, i, kind)) return false;
        }

        if (instruction.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc && instruction.Op0Kind == OpKind.Memory && instruction.Op1Kind == OpKind.Register)
        {
            // The index reaches out of the operand: keep it near.
            var index = (instruction.Op1Register.GetFullRegister() - Register.RAX);
            if (_isFixed[index]) return false;
            _isFixed[index] = true;
            _values[index] = (ulong)(long)(draw.Below(512) - 256);
        }

        return true;
    }

    private bool TryMakeString(ref Instruction instruction)
    {
        var info = instruction.Code.ToOpCode();
        for (var i = 0; i < info.OpCount; i++)
        {
            var kind = info.GetOpKind(i);
            switch (kind)
            {
                case OpCodeOperandKind.seg_rSI:
                    instruction.SetOpKind(i, OpKind.MemorySegRSI);
                    if (!TryFix(6, dataAddress + (ulong)draw.Below(dataBytes - 256))) return false;
                    break;
                case OpCodeOperandKind.es_rDI:
                    instruction.SetOpKind(i, OpKind.MemoryESRDI);
                    if (!TryFix(7, dataAddress + (ulong)draw.Below(dataBytes - 256))) return false;
                    break;
                case OpCodeOperandKind.seg_rBX_al:
                    instruction.SetOpKind(i, OpKind.Memory);
                    instruction.MemoryBase = Register.RBX;
                    instruction.MemoryIndex = Register.AL;
                    if (!TryFix(3, dataAddress + (ulong)draw.Below(dataBytes - 256))) return false;
                    break;
                default:
                    if (!TrySetRegister(ref instruction, i, kind.ToString())) return false;
                    break;
            }
        }

        if (!instruction.IsStringInstruction || draw.OneIn(3)) return true;
        if (info.CanUseRepnePrefix && draw.OneIn(2)) instruction.HasRepnePrefix = true;
        else instruction.HasRepPrefix = true;
        return TryFix(1, (ulong)draw.Below(30));
    }

    private bool TryFix(int register, ulong value)
    {
        if (_isFixed[register]) return false;
        _isFixed[register] = true;
        _values[register] = value;
        return true;
    }

    private void SetImmediate(ref Instruction instruction, int operand, string kind)
    {
        var value = draw.Interesting();
        if (kind == "imm8_const_1")
        {
            instruction.SetOpKind(operand, OpKind.Immediate8);
            instruction.SetImmediate(operand, 1);
            return;
        }

        instruction.SetOpKind(operand, kind switch
        {
            "imm8" => OpKind.Immediate8,
            "imm8sex16" => OpKind.Immediate8to16,
            "imm8sex32" => OpKind.Immediate8to32,
            "imm8sex64" => OpKind.Immediate8to64,
            "imm16" => OpKind.Immediate16,
            "imm32" => OpKind.Immediate32,
            "imm32sex64" => OpKind.Immediate32to64,
            "imm64" => OpKind.Immediate64,
            _ => throw new NotSupportedException(kind),
        });
        switch (kind)
        {
            case "imm8": instruction.Immediate8 = (byte)value; break;
            case "imm8sex16": instruction.Immediate8to16 = (sbyte)value; break;
            case "imm8sex32": instruction.Immediate8to32 = (sbyte)value; break;
            case "imm8sex64": instruction.Immediate8to64 = (sbyte)value; break;
            case "imm16": instruction.Immediate16 = (ushort)value; break;
            case "imm32": instruction.Immediate32 = (uint)value; break;
            case "imm32sex64": instruction.Immediate32to64 = (int)value; break;
            default: instruction.Immediate64 = value; break;
        }
    }

    private bool TrySetMemory(ref Instruction instruction, int operand, int bytes)
    {
        instruction.SetOpKind(operand, OpKind.Memory);
        var target = dataAddress + (ulong)(draw.OneIn(4) ? (dataBytes / 2) - draw.Below(16) : 256 + draw.Below(dataBytes - 600));
        if (bytes == 16) target &= ~15UL;
        var isNarrow = draw.OneIn(10);
        var baseNumber = FreeRegister();
        if (baseNumber < 0) return false;
        _isFixed[baseNumber] = true;
        instruction.MemoryBase = (isNarrow ? Register.EAX : Register.RAX) + baseNumber;
        instruction.MemoryIndexScale = 1;
        var displacement = draw.OneIn(3) ? 0 : draw.OneIn(2) ? draw.Below(256) - 128 : draw.Below(1 << 24) - (1 << 23);
        instruction.MemoryDisplacement64 = isNarrow ? (uint)displacement : (ulong)displacement;
        instruction.MemoryDisplSize = displacement == 0 ? 0 : displacement is >= -128 and < 128 ? 1 : isNarrow ? 4 : 8;
        var offset = (ulong)displacement;
        var indexNumber = draw.OneIn(2) ? FreeRegister() : -1;
        if (indexNumber >= 0)
        {
            _isFixed[indexNumber] = true;
            _values[indexNumber] = draw.Interesting();
            instruction.MemoryIndex = (isNarrow ? Register.EAX : Register.RAX) + indexNumber;
            instruction.MemoryIndexScale = 1 << draw.Below(4);
            offset += _values[indexNumber] * (ulong)instruction.MemoryIndexScale;
        }

        _values[baseNumber] = isNarrow ? (uint)(target - offset) | (draw.Bits64() << 32) : target - offset;
        return true;
    }

    private int FreeRegister()
    {
        var first = draw.Below(16);
        for (var i = 0; i < 16; i++)
            if (!_isFixed[(first + i) % 16]) return (first + i) % 16;
        return -1;
    }

    private bool TrySetRegister(ref Instruction instruction, int operand, string kind)
    {
        instruction.SetOpKind(operand, OpKind.Register);
        var number = draw.Below(16);
        if (number == 4) number = 5;
        Register? register = kind switch
        {
            "al" => Register.AL,
            "cl" => Register.CL,
            "ax" => Register.AX,
            "dx" => Register.DX,
            "eax" => Register.EAX,
            "rax" => Register.RAX,
            _ when kind.StartsWith("r8") => draw.OneIn(4) ? Register.AH + draw.Below(4) : number < 4 ? Register.AL + number : Register.SPL + (number - 4),
            _ when kind.StartsWith("r16") => Register.AX + number,
            _ when kind.StartsWith("r32") => Register.EAX + number,
            _ when kind.StartsWith("r64") => Register.RAX + number,
            _ => null,
        };
        if (register is not { } found) return false;
        instruction.SetOpRegister(operand, found);
        return true;
    }

    private static bool TryEncode(in Instruction instruction, out byte[] bytes)
    {
        using var stream = new MemoryStream();
        var encoder = Encoder.Create(64, new StreamCodeWriter(stream));
        var isGood = encoder.TryEncode(instruction, 0x1000, out _, out _);
        bytes = stream.ToArray();
        return isGood;
    }

    /// <summary>Some encodings mean something else than what was drawn (XCHG EAX, EAX is NOP): what counts is what the bytes decode to.</summary>
    private static bool IsAsDrawn(byte[] bytes, ref Instruction instruction)
    {
        var decoder = Decoder.Create(64, bytes);
        decoder.IP = 0x1000;
        decoder.Decode(out instruction);
        return !instruction.IsInvalid && instruction.Length == bytes.Length;
    }
}
