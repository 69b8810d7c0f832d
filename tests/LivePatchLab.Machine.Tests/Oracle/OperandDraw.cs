using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>Where memory operands come from.</summary>
internal interface IAddresses
{
    /// <summary>Fills in the memory operand; false when this attempt came to nothing.</summary>
    bool TryDraw(ref Instruction instruction, int bytes, int margin);

    /// <summary>Where the operand is, once it has been drawn.</summary>
    ulong Target { get; }
}

/// <summary>Draws one operand of an instruction, by the kind that Iced gives it.</summary>
internal static class OperandDraw
{
    public static bool TrySet(Draw draw, ref Instruction instruction, int operand, OpCodeOperandKind kind, bool usesMemory, IAddresses addresses)
    {
        var name = kind.ToString();
        if (name.StartsWith("imm", StringComparison.Ordinal))
        {
            SetImmediate(draw, ref instruction, operand, kind);
            return true;
        }

        if (kind != OpCodeOperandKind.mem && !(usesMemory && name.EndsWith("_or_mem", StringComparison.Ordinal))) return TrySetRegister(draw, ref instruction, operand, kind);

        // The index of a bit string reaches out of the operand.
        var isBitString = instruction.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc;
        instruction.SetOpKind(operand, OpKind.Memory);

        // Branch targets are laid down in words.
        var bytes = Math.Max(instruction.FlowControl == FlowControl.Next ? 1 : 8, instruction.MemorySize.GetSize());
        if (!addresses.TryDraw(ref instruction, bytes, isBitString ? 72 : 0)) return false;

        // Linux makes a program wait 10 ms for each locked access that crosses a cache line (split_lock_detect), so none does here.
        var isInLine = isBitString ? addresses.Target % (ulong)bytes == 0 : (addresses.Target & 63) + (ulong)bytes <= 64;
        if (operand == 0 && isInLine && instruction.Code.ToOpCode().CanUseLockPrefix && draw.OneIn(3)) instruction.HasLockPrefix = true;
        return isInLine || instruction.Mnemonic != Mnemonic.Xchg;
    }

    /// <summary>False for kinds of register that no handler of the machine takes. RSP is left to the stack instructions.</summary>
    public static bool TrySetRegister(Draw draw, ref Instruction instruction, int operand, OpCodeOperandKind kind)
    {
        instruction.SetOpKind(operand, OpKind.Register);
        if (RegisterOf(draw, kind.ToString()) is not { } register) return false;
        instruction.SetOpRegister(operand, register);
        return true;
    }

    private static Register? RegisterOf(Draw draw, string kind)
    {
        var number = draw.Below(16);
        if (number == Gpr.Rsp) number = Gpr.Rbp;
        return kind switch
        {
            "al" => Register.AL,
            "cl" => Register.CL,
            "ax" => Register.AX,
            "dx" => Register.DX,
            "eax" => Register.EAX,
            "rax" => Register.RAX,
            "fs" => Register.FS,
            "gs" => Register.GS,
            "seg_reg" => Register.ES + draw.Below(6),
            "cr_reg" => Register.CR0 + draw.Of(0, 2, 3, 4, 8),
            "dr_reg" => Register.DR0 + draw.Below(8),
            "r8_or_mem" or "r8_reg" or "r8_opcode" => draw.OneIn(4) ? Register.AH + draw.Below(4) : number < 4 ? Register.AL + number : Register.SPL + (number - 4),
            _ when kind.StartsWith("r16", StringComparison.Ordinal) => Register.AX + number,
            _ when kind.StartsWith("r32", StringComparison.Ordinal) => Register.EAX + number,
            _ when kind.StartsWith("r64", StringComparison.Ordinal) => Register.RAX + number,
            _ => null,
        };
    }

    /// <summary>Values at which arithmetic goes wrong.</summary>
    private static void SetImmediate(Draw draw, ref Instruction instruction, int operand, OpCodeOperandKind kind)
    {
        var value = kind == OpCodeOperandKind.imm8_const_1 ? 1 : draw.Interesting();
        if (operand > 0 && kind == OpCodeOperandKind.imm8 && instruction.GetOpKind(operand - 1) == OpKind.Immediate16)
        {
            instruction.SetOpKind(operand, OpKind.Immediate8_2nd);
            return;
        }

        instruction.SetOpKind(operand, kind switch
        {
            OpCodeOperandKind.imm8 or OpCodeOperandKind.imm8_const_1 => OpKind.Immediate8,
            OpCodeOperandKind.imm8sex16 => OpKind.Immediate8to16,
            OpCodeOperandKind.imm8sex32 => OpKind.Immediate8to32,
            OpCodeOperandKind.imm8sex64 => OpKind.Immediate8to64,
            OpCodeOperandKind.imm16 => OpKind.Immediate16,
            OpCodeOperandKind.imm32 => OpKind.Immediate32,
            OpCodeOperandKind.imm32sex64 => OpKind.Immediate32to64,
            OpCodeOperandKind.imm64 => OpKind.Immediate64,
            _ => throw new NotSupportedException(kind.ToString()),
        });
        switch (kind)
        {
            case OpCodeOperandKind.imm8 or OpCodeOperandKind.imm8_const_1: instruction.Immediate8 = (byte)value; break;
            case OpCodeOperandKind.imm8sex16: instruction.Immediate8to16 = (sbyte)value; break;
            case OpCodeOperandKind.imm8sex32: instruction.Immediate8to32 = (sbyte)value; break;
            case OpCodeOperandKind.imm8sex64: instruction.Immediate8to64 = (sbyte)value; break;
            case OpCodeOperandKind.imm16: instruction.Immediate16 = (ushort)value; break;
            case OpCodeOperandKind.imm32: instruction.Immediate32 = (uint)value; break;
            case OpCodeOperandKind.imm32sex64: instruction.Immediate32to64 = (int)value; break;
            default: instruction.Immediate64 = value; break;
        }
    }
}
