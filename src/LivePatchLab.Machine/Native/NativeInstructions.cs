using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// Which instructions are translated. All others leave translated code and are interpreted: system instructions, strings, far branches,
/// whatever has a 32-bit address, bit strings, operands in FS or GS beside R13 to R15, and those whose stack operand is not of 64 bits. What the interpreter has no
/// handler for is #UD there, and so never translated.
/// </summary>
internal static class NativeInstructions
{
    private static readonly HashSet<Mnemonic> Plain =
    [
        Mnemonic.Mov, Mnemonic.Movzx, Mnemonic.Movsx, Mnemonic.Movsxd, Mnemonic.Lea, Mnemonic.Xchg, Mnemonic.Xadd, Mnemonic.Cmpxchg, Mnemonic.Bswap,
        Mnemonic.Add, Mnemonic.Sub, Mnemonic.Adc, Mnemonic.Sbb, Mnemonic.And, Mnemonic.Or, Mnemonic.Xor, Mnemonic.Not, Mnemonic.Neg,
        Mnemonic.Inc, Mnemonic.Dec, Mnemonic.Cmp, Mnemonic.Test, Mnemonic.Imul, Mnemonic.Mul, Mnemonic.Div, Mnemonic.Idiv,
        Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr, Mnemonic.Sar, Mnemonic.Rol, Mnemonic.Ror, Mnemonic.Rcl, Mnemonic.Rcr, Mnemonic.Shld, Mnemonic.Shrd,
        Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Btr, Mnemonic.Btc, Mnemonic.Bsf, Mnemonic.Bsr, Mnemonic.Tzcnt, Mnemonic.Lzcnt, Mnemonic.Popcnt,
        Mnemonic.Cbw, Mnemonic.Cwde, Mnemonic.Cdqe, Mnemonic.Cwd, Mnemonic.Cdq, Mnemonic.Cqo, Mnemonic.Clc, Mnemonic.Stc, Mnemonic.Cmc, Mnemonic.Lahf, Mnemonic.Sahf,
        Mnemonic.Andn, Mnemonic.Bextr, Mnemonic.Blsi, Mnemonic.Blsmsk, Mnemonic.Blsr, Mnemonic.Bzhi, Mnemonic.Mulx, Mnemonic.Pdep, Mnemonic.Pext,
        Mnemonic.Rorx, Mnemonic.Sarx, Mnemonic.Shlx, Mnemonic.Shrx,
        Mnemonic.Seto, Mnemonic.Setno, Mnemonic.Setb, Mnemonic.Setae, Mnemonic.Sete, Mnemonic.Setne, Mnemonic.Setbe, Mnemonic.Seta,
        Mnemonic.Sets, Mnemonic.Setns, Mnemonic.Setp, Mnemonic.Setnp, Mnemonic.Setl, Mnemonic.Setge, Mnemonic.Setle, Mnemonic.Setg,
        Mnemonic.Cmovo, Mnemonic.Cmovno, Mnemonic.Cmovb, Mnemonic.Cmovae, Mnemonic.Cmove, Mnemonic.Cmovne, Mnemonic.Cmovbe, Mnemonic.Cmova,
        Mnemonic.Cmovs, Mnemonic.Cmovns, Mnemonic.Cmovp, Mnemonic.Cmovnp, Mnemonic.Cmovl, Mnemonic.Cmovge, Mnemonic.Cmovle, Mnemonic.Cmovg,
    ];

    public static bool IsTranslated(in Instruction instruction)
        => !instruction.IsInvalid && (IsNothing(instruction) || IsListed(instruction)) && OpBuilder.Accepts(instruction);

    private static bool IsListed(in Instruction instruction)
    {
        if (!HasPlainAddress(instruction) || !NativeChecks.MayMoveStack(instruction)) return false;
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Push:
                return instruction.Code is Code.Push_r64 or Code.Pushq_imm32 or Code.Pushq_imm8 or Code.Push_rm64;
            case Mnemonic.Pop:
                return instruction.Code is Code.Pop_r64 || (instruction.Code == Code.Pop_rm64 && instruction.Op0Kind == OpKind.Register);
            case Mnemonic.Leave:
                return instruction.Code == Code.Leaveq;
            case Mnemonic.Call:
                return instruction.Code is Code.Call_rel32_64 or Code.Call_rm64 && IsReachable(instruction);
            case Mnemonic.Ret:
                return instruction.Code is Code.Retnq or Code.Retnq_imm16;
            case Mnemonic.Jmp:
                return instruction.Code is Code.Jmp_rel8_64 or Code.Jmp_rel32_64 or Code.Jmp_rm64 && IsReachable(instruction);
        }

        if (instruction.IsJccShortOrNear) return instruction.Op0Kind == OpKind.NearBranch64 && IsReachable(instruction);
        return Plain.Contains(instruction.Mnemonic) && HasPlainOperands(instruction);
    }

    /// <summary>True for what has no effect but that it retires.</summary>
    public static bool IsNothing(in Instruction instruction) => !instruction.IsInvalid && InstructionTable.Of(instruction) is NoOperation;

    /// <summary>The memory operand that is accessed, or -1. LEA only works its address out.</summary>
    public static int MemoryOperand(in Instruction instruction)
    {
        if (instruction.Mnemonic == Mnemonic.Lea || IsNothing(instruction)) return -1;
        for (var i = 0; i < instruction.OpCount; i++)
            if (instruction.GetOpKind(i) == OpKind.Memory) return i;
        return -1;
    }

    /// <summary>True where a base of the guest's belongs to the address that is accessed.</summary>
    public static bool IsInSegment(in Instruction instruction) => instruction.MemorySegment is Register.FS or Register.GS && MemoryOperand(instruction) >= 0;

    /// <summary>0 … 15 as the encoding numbers them; -1 for none and for RIP.</summary>
    public static int Number(Register register) => register.IsGPR64() ? register - Register.RAX : register.IsGPR() ? register.GetFullRegister() - Register.RAX : -1;

    // Targets outside the signed 32-bit reach of the window are left to the interpreter, and addresses are written as 32-bit immediates.
    private static bool IsReachable(in Instruction instruction)
    {
        if ((long)instruction.NextIP != (int)instruction.NextIP) return false;
        if (instruction.FlowControl is FlowControl.IndirectBranch or FlowControl.IndirectCall) return true;
        return (long)instruction.NearBranchTarget == (int)instruction.NearBranchTarget;
    }

    private static bool HasPlainAddress(in Instruction instruction)
    {
        var hasMemory = false;
        for (var i = 0; i < instruction.OpCount; i++) hasMemory |= instruction.GetOpKind(i) == OpKind.Memory;
        if (!hasMemory) return true;
        if (IsInSegment(instruction) && (UsesFrame(instruction) || !Plain.Contains(instruction.Mnemonic))) return false;
        if (instruction.IsIPRelativeMemoryOperand) return instruction.MemoryBase == Register.RIP && IsDisplacement((long)instruction.IPRelativeMemoryAddress);
        if (instruction.MemoryBase.IsGPR32() || instruction.MemoryIndex.IsGPR32()) return false;
        if (instruction.MemoryBase == Register.None && instruction.MemoryIndex == Register.None && instruction.MemoryDisplSize == 4) return false;
        return IsDisplacement((long)instruction.MemoryDisplacement64);
    }

    /// <summary>True with one of the registers for which the host's are not sure to suffice.</summary>
    private static bool UsesFrame(in Instruction instruction)
    {
        var uses = Number(instruction.MemoryBase) >= NativeEmitter.R13 || Number(instruction.MemoryIndex) >= NativeEmitter.R13;
        for (var i = 0; i < instruction.OpCount; i++) uses |= instruction.GetOpKind(i) == OpKind.Register && Number(instruction.GetOpRegister(i)) >= NativeEmitter.R13;
        return uses;
    }

    private static bool IsDisplacement(long value) => value == (int)value;

    private static bool HasPlainOperands(in Instruction instruction)
    {
        for (var i = 0; i < instruction.OpCount; i++)
            if (instruction.GetOpKind(i) == OpKind.Register && !instruction.GetOpRegister(i).IsGPR()) return false;

        // With a register for the bit's number, a memory operand is a string of bits that reaches beyond the address.
        if (instruction.Mnemonic is Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc && instruction.Op0Kind == OpKind.Memory && instruction.Op1Kind == OpKind.Register) return false;
        return instruction.Code is not (Code.Bswap_r16 or Code.Mov_AL_moffs8 or Code.Mov_AX_moffs16 or Code.Mov_EAX_moffs32 or Code.Mov_RAX_moffs64
            or Code.Mov_moffs8_AL or Code.Mov_moffs16_AX or Code.Mov_moffs32_EAX or Code.Mov_moffs64_RAX);
    }
}
