using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>Draws one instruction of a given code with any operands, and sets the registers and memory of a case so that it can be run.</summary>
internal sealed class InstructionDraw(Draw draw, OracleCase oracleCase)
{
    /// <summary>MOV R8D, imm32, which a branch that is taken skips.</summary>
    private static readonly byte[] Skipped = [0x41, 0xb8, 0x78, 0x56, 0x34, 0x12];

    private readonly bool[] _isFixed = new bool[16];
    private readonly byte[] _bytes = new byte[InstructionFetch.LongestInstruction];

    /// <summary>Draws the state before, and then the instruction; false when this attempt came to nothing.</summary>
    public bool TryMake(Code code)
    {
        Array.Clear(_isFixed);
        for (var i = 0; i < 16; i++) oracleCase.Registers[i] = draw.Interesting();
        TryReserveStack();
        oracleCase.Flags = StartingFlags(draw);
        draw.Bytes(64).CopyTo(oracleCase.DataBytes, 0);
        for (var i = 64; i < oracleCase.DataBytes.Length; i++) oracleCase.DataBytes[i] = (byte)(oracleCase.DataBytes[i & 63] + (i >> 6));
        for (var i = 0; i < oracleCase.StackBytes.Length; i++) oracleCase.StackBytes[i] = (byte)(oracleCase.DataBytes[(i * 5) & 63] ^ i);
        oracleCase.Bytes.Clear();
        oracleCase.Instructions.Clear();
        oracleCase.Undefined = RflagsBits.None;

        var instruction = new Instruction { Code = code };
        var addresses = new AddressDraw(draw, oracleCase, _isFixed);
        if (!TrySetOperands(ref instruction, addresses) || !TrySetState(ref instruction, addresses)) return false;
        if (!TryEncode(ref instruction, oracleCase.Code.Value, out var length)) return false;
        var target = oracleCase.Code.Value + (ulong)length + (ulong)Skipped.Length;
        if (instruction.FlowControl is FlowControl.Next or FlowControl.Interrupt or FlowControl.Exception || LeavesForGood(instruction.Mnemonic))
        {
            oracleCase.Append(instruction, _bytes.AsSpan(0, length));
        }
        else
        {
            if (!TryAim(ref instruction, addresses, target) || !TryEncode(ref instruction, oracleCase.Code.Value, out var aimed) || aimed != length) return false;
            oracleCase.Append(instruction, _bytes.AsSpan(0, length));
            oracleCase.Bytes.AddRange(Skipped);
        }

        oracleCase.OperandAddress = addresses.Target;
        oracleCase.Undefined = UndefinedFlags.After(instruction, RflagsBits.None);
        return true;
    }

    public static uint StartingFlags(Draw draw) => ((uint)draw.Bits64() & (draw.OneIn(4) ? HostProcessor.Flags : LazyFlags.All)) | 0x202;

    private void TryReserveStack()
    {
        _isFixed[Gpr.Rsp] = true;
        var end = oracleCase.StackEnd;
        oracleCase.Registers[Gpr.Rsp] = end.Value - 512 - (ulong)(draw.OneIn(4) ? draw.Below(64) : 8 * draw.Below(8));
    }

    private bool TrySetOperands(ref Instruction instruction, AddressDraw addresses)
    {
        var info = instruction.Code.ToOpCode();
        if (instruction.IsStringInstruction || instruction.Mnemonic == Mnemonic.Xlatb) return TrySetString(ref instruction, info, addresses);
        var usesMemory = draw.OneIn(2);
        for (var i = 0; i < info.OpCount; i++)
        {
            var kind = info.GetOpKind(i);
            if (kind.ToString().StartsWith("br", StringComparison.Ordinal))
            {
                instruction.SetOpKind(i, OpKind.NearBranch64);
                instruction.NearBranch64 = oracleCase.Code.Value + 16;
            }
            else if (kind == OpCodeOperandKind.mem_offs) SetAbsolute(ref instruction, i);
            else if (!OperandDraw.TrySet(draw, ref instruction, i, kind, usesMemory, addresses)) return false;
        }

        return true;
    }

    /// <summary>What certain instructions need to be in registers and memory so that they neither fault nor leave a result undefined.</summary>
    private bool TrySetState(ref Instruction instruction, AddressDraw addresses)
    {
        var top = oracleCase.Registers[Gpr.Rsp];
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Bt or Mnemonic.Bts or Mnemonic.Btr or Mnemonic.Btc when instruction.Op0Kind == OpKind.Memory && instruction.Op1Kind == OpKind.Register:
                // The index reaches out of the operand: keep it near.
                var bits = instruction.Op1Register.GetSize() * 8;
                var index = (ulong)(long)(draw.Below(1024) - 512);
                var mask = bits == 64 ? ulong.MaxValue : (1UL << bits) - 1;
                return addresses.TryFix(instruction.Op1Register.GetFullRegister() - Register.RAX, (index & mask) | (draw.Bits64() & ~mask));
            case Mnemonic.Bswap:
                return !instruction.Op0Register.IsGPR16();
            case Mnemonic.Shld or Mnemonic.Shrd when instruction.Op1Register.IsGPR16():
                // Beyond 16 the result is undefined (SDM vol. 2, SHLD).
                if (instruction.Op2Kind == OpKind.Immediate8) instruction.Immediate8 = (byte)draw.Below(17);
                else return addresses.TryFix(Gpr.Rcx, (ulong)draw.Below(17));
                return true;
            case Mnemonic.Popf or Mnemonic.Popfq:
                // Not TF and AC, with which the host would get signals.
                oracleCase.Place(top, StartingFlags(draw) | (draw.OneIn(2) ? SystemFlag.Identification : 0));
                return true;
            case Mnemonic.Enter:
                instruction.Immediate16 = (ushort)draw.Below(100);
                instruction.Immediate8_2nd = (byte)(draw.OneIn(2) ? 0 : draw.Below(256));

                // The outer frames are in the data, or in what the instruction itself pushes.
                return addresses.TryFix(Gpr.Rbp, draw.OneIn(4) ? top + (ulong)draw.Below(12) : oracleCase.Data.Value + (ulong)draw.Below(200));
            case Mnemonic.Leave:
                return addresses.TryFix(Gpr.Rbp, top - 64 + (ulong)draw.Below(128));
            case Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne or Mnemonic.Jrcxz or Mnemonic.Jecxz:
                return addresses.TryFix(Gpr.Rcx, (ulong)draw.Below(3) ^ (draw.OneIn(2) ? 0 : draw.Bits64() << 32));
            default:
                return true;
        }
    }

    /// <summary>Where these go is not for the instruction to say.</summary>
    private static bool LeavesForGood(Mnemonic mnemonic) => mnemonic is Mnemonic.Retf or Mnemonic.Iretq or Mnemonic.Syscall or Mnemonic.Sysretq;

    /// <summary>Gives a branch its target, wherever it takes it from.</summary>
    private bool TryAim(ref Instruction instruction, AddressDraw addresses, ulong target)
    {
        if (instruction.Mnemonic == Mnemonic.Ret)
        {
            if (instruction.OpCount == 1) instruction.Immediate16 = (ushort)draw.Below(100);
            oracleCase.Place(oracleCase.Registers[Gpr.Rsp], target);
        }
        else if (instruction.Op0Kind == OpKind.NearBranch64) instruction.NearBranch64 = target;
        else if (instruction.Op0Kind == OpKind.Memory)
        {
            // __USER_CS of Linux, where a selector belongs.
            const ulong UserCode = 0x33;
            if (instruction.Code == Code.Jmp_m1664) oracleCase.Place(addresses.Target + 2, UserCode << 48);
            oracleCase.Place(addresses.Target, instruction.Code == Code.Jmp_m1632 ? target | (UserCode << 32) : target);
        }
        else
        {
            var register = instruction.Op0Register.GetFullRegister() - Register.RAX;
            if (register == Gpr.Rsp || instruction.Op0Register.GetSize() != 8) return false;
            oracleCase.Registers[register] = target;
        }

        return true;
    }

    private bool TrySetString(ref Instruction instruction, OpCodeInfo info, AddressDraw addresses)
    {
        var isNarrow = draw.OneIn(6);
        for (var i = 0; i < info.OpCount; i++)
        {
            var kind = info.GetOpKind(i);
            var near = oracleCase.Data.Value - 125 + (ulong)(draw.OneIn(3) ? 117 + draw.Below(16) : draw.Below(250));
            var garbage = isNarrow ? draw.Bits64() << 32 : 0;
            switch (kind)
            {
                case OpCodeOperandKind.seg_rSI:
                    instruction.SetOpKind(i, isNarrow ? OpKind.MemorySegESI : OpKind.MemorySegRSI);
                    if (!isNarrow && draw.OneIn(4)) instruction.SegmentPrefix = draw.Of(Register.FS, Register.GS);
                    if (!addresses.TryFix(Gpr.Rsi, (near - Base(instruction.SegmentPrefix)) | garbage)) return false;
                    break;
                case OpCodeOperandKind.es_rDI:
                    instruction.SetOpKind(i, isNarrow ? OpKind.MemoryESEDI : OpKind.MemoryESRDI);
                    if (!addresses.TryFix(Gpr.Rdi, near | garbage)) return false;
                    break;
                case OpCodeOperandKind.seg_rBX_al:
                    instruction.SetOpKind(i, OpKind.Memory);
                    instruction.MemoryBase = isNarrow ? Register.EBX : Register.RBX;
                    instruction.MemoryIndex = Register.AL;
                    instruction.MemoryIndexScale = 1;
                    if (!isNarrow && draw.OneIn(4)) instruction.SegmentPrefix = draw.Of(Register.FS, Register.GS);
                    if (!addresses.TryFix(Gpr.Rbx, (oracleCase.Data.Value - 128 - Base(instruction.SegmentPrefix)) | garbage)) return false;
                    break;
                default:
                    if (!OperandDraw.TrySetRegister(draw, ref instruction, i, kind)) return false;
                    break;
            }
        }

        if (!instruction.IsStringInstruction || draw.OneIn(3)) return true;
        if (draw.OneIn(2)) instruction.HasRepnePrefix = true;
        else instruction.HasRepPrefix = true;

        // Now and then all equal, so that a comparison does not end at once.
        if (draw.OneIn(3)) Array.Fill(oracleCase.DataBytes, (byte)oracleCase.Registers[Gpr.Rax]);
        if (draw.OneIn(6)) oracleCase.Registers[Gpr.Rax] = 0x0101_0101_0101_0101 * (ulong)(byte)oracleCase.Registers[Gpr.Rax];

        // With 32-bit addresses the SDM does not say what a count of 0 does to the upper halves.
        var count = (ulong)draw.Below(15);
        return addresses.TryFix(Gpr.Rcx, isNarrow ? (count + 1) ^ (draw.Bits64() << 32) : count);
    }

    private ulong Base(Register segment) => segment switch
    {
        Register.FS => HostProcessor.FsBase,
        Register.GS => HostProcessor.GsBase,
        _ => 0,
    };

    /// <summary>The 64-bit (or, with 67h, 32-bit) address in the instruction itself.</summary>
    private void SetAbsolute(ref Instruction instruction, int operand)
    {
        instruction.SetOpKind(operand, OpKind.Memory);
        var segment = draw.Below(6) switch { 0 => Register.FS, 1 => Register.GS, _ => Register.None };
        if (segment != Register.None) instruction.SegmentPrefix = segment;
        instruction.MemoryDisplacement64 = oracleCase.Data.Value + (ulong)(long)(draw.Below(400) - 200) - Base(segment);
        instruction.MemoryIndexScale = 1;
        instruction.MemoryDisplSize = segment == Register.None && draw.OneIn(3) ? 4 : 8;
    }

    /// <summary>Encodes and decodes again: XCHG EAX, EAX is NOP, and what counts is what the bytes say.</summary>
    private bool TryEncode(ref Instruction instruction, ulong rip, out int length)
    {
        return InstructionBytes.TryEncode(ref instruction, rip, _bytes, out length);
    }
}
