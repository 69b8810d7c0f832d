using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// Draws straight pieces of code with jumps forward in them, so that flags stay unseen, are seen late, or are compared and branched on at
/// once. R13, R14 and R15 are pointers and an index that nothing writes, so that memory operands stay where they may be.
/// </summary>
internal sealed class SequenceDraw(Draw draw) : IAddresses
{
    private static readonly HashSet<Mnemonic> Excluded =
    [
        Mnemonic.Div, Mnemonic.Idiv, Mnemonic.Enter, Mnemonic.Leave, Mnemonic.Popf, Mnemonic.Popfq, Mnemonic.Xlatb, Mnemonic.Std,
    ];

    private static readonly Code[] Codes = [.. ClaimedCodes.Comparable.Where(IsStraight)];
    private static readonly Code[] Strings = [.. ClaimedCodes.Comparable.Where(code => new Instruction { Code = code }.IsStringInstruction)];
    private static readonly Code[] Divisions = [Code.Div_rm8, Code.Div_rm16, Code.Div_rm32, Code.Div_rm64, Code.Idiv_rm16, Code.Idiv_rm32, Code.Idiv_rm64];

    private readonly InstructionInfoFactory _uses = new();
    private readonly byte[] _bytes = new byte[InstructionFetch.LongestInstruction];
    private readonly List<Landing> _landings = [];
    private OracleCase _case = null!;
    private RflagsBits _undefined;

    /// <summary>A jump whose displacement is filled in when as many items have come behind it.</summary>
    private record struct Landing(int DisplacementAt, int DisplacementBytes, int ItemsLeft, RflagsBits Undefined);

    public ulong Target { get; private set; }

    public OracleCase Make(int slot)
    {
        _case = new OracleCase(slot);
        _undefined = RflagsBits.None;
        _landings.Clear();
        for (var i = 0; i < 16; i++) _case.Registers[i] = draw.Interesting();
        _case.Registers[Gpr.Rsp] = _case.StackEnd.Value - 512;
        _case.Registers[13] = _case.Data.Value;
        _case.Registers[14] = _case.Data.Value - HostProcessor.GsBase;
        _case.Registers[15] = (ulong)draw.Below(8);
        _case.Flags = InstructionDraw.StartingFlags(draw);
        draw.Bytes(64).CopyTo(_case.DataBytes, 0);
        for (var i = 64; i < _case.DataBytes.Length; i++) _case.DataBytes[i] = (byte)(_case.DataBytes[i & 63] + i);
        for (var i = 0; i < _case.StackBytes.Length; i++) _case.StackBytes[i] = (byte)(_case.DataBytes[i & 63] ^ 0x5a);

        for (var items = 5 + draw.Below(16); items > 0 || _landings.Count > 0; items--)
        {
            var waiting = _landings.Count;
            AddItem(mayJump: items > 0);
            Land(waiting);
        }

        _case.Undefined = _undefined;
        var decoder = Decoder.Create(64, new ByteArrayCodeReader(_case.Bytes.ToArray()));
        decoder.IP = _case.Code.Value;
        while (decoder.IP < _case.Code.Value + (ulong)_case.Bytes.Count) _case.Instructions.Add(decoder.Decode());
        return _case;
    }

    public bool TryDraw(ref Instruction instruction, int bytes, int margin)
    {
        var displacement = draw.Below(200) - 100;
        if (bytes == 16) displacement &= ~15;
        instruction.MemoryIndexScale = 1;
        var shape = bytes == 16 ? 0 : draw.Below(6);
        instruction.MemoryBase = shape switch
        {
            3 => Register.R14,
            4 => Register.RIP,
            5 => Register.R13D,
            _ => Register.R13,
        };
        if (shape == 3) instruction.SegmentPrefix = Register.GS;
        if (shape is 1 or 5)
        {
            instruction.MemoryIndex = shape == 5 ? Register.R15D : Register.R15;
            instruction.MemoryIndexScale = 1 << draw.Below(4);
        }

        instruction.MemoryDisplacement64 = shape == 4 ? _case.Data.Value + (ulong)(long)displacement : shape == 5 ? (uint)displacement : (ulong)(long)displacement;
        instruction.MemoryDisplSize = shape == 4 ? 8 : 1;

        Target = _case.Data.Value + (ulong)(long)displacement + (instruction.MemoryIndex == Register.None ? 0 : _case.Registers[15] * (ulong)instruction.MemoryIndexScale);

        // A register's index into a bit string would have to be known.
        return margin == 0 || instruction.Code.ToOpCode().GetOpKind(1) == OpCodeOperandKind.imm8;
    }

    private static bool IsStraight(Code code)
    {
        var instruction = new Instruction { Code = code };
        if (PermittedRefusals.ReasonFor(code) is not null || instruction.FlowControl != FlowControl.Next || instruction.IsStringInstruction || Excluded.Contains(instruction.Mnemonic)) return false;
        var info = code.ToOpCode();
        for (var i = 0; i < info.OpCount; i++)
            if (info.GetOpKind(i) is OpCodeOperandKind.mem_offs) return false;
        return true;
    }

    private void AddItem(bool mayJump)
    {
        switch (draw.Below(24))
        {
            case < 6 when mayJump: AddJump(); break;
            case 6: AddString(); break;
            case 7: AddDivision(); break;
            default: AddStraight(); break;
        }
    }

    private void AddStraight()
    {
        while (true)
        {
            var instruction = new Instruction { Code = draw.Of(Codes) };
            var info = instruction.Code.ToOpCode();
            var usesMemory = draw.OneIn(3);
            var isGood = true;
            for (var i = 0; i < info.OpCount && isGood; i++) isGood = OperandDraw.TrySet(draw, ref instruction, i, info.GetOpKind(i), usesMemory, this);
            if (isGood && IsPredictable(instruction) && TryAppend(instruction)) return;
        }
    }

    /// <summary>Results, not only flags, that the SDM leaves undefined.</summary>
    private static bool IsPredictable(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Bswap => !instruction.Op0Register.IsGPR16(),
        Mnemonic.Shld or Mnemonic.Shrd => !instruction.Op1Register.IsGPR16(),
        _ => true,
    };

    private bool TryAppend(Instruction instruction)
    {
        if ((instruction.RflagsRead & _undefined) != 0 || !InstructionBytes.TryEncode(ref instruction, _case.Code.Value + (ulong)_case.Bytes.Count, _bytes, out var length)) return false;
        foreach (var used in _uses.GetInfo(instruction).GetUsedRegisters())
        {
            if (used.Access is OpAccess.Read or OpAccess.CondRead or OpAccess.None or OpAccess.NoMemAccess) continue;
            var register = used.Register.GetFullRegister();
            if (register is Register.R13 or Register.R14 or Register.R15 || (register == Register.RSP && !instruction.IsStackInstruction)) return false;
        }

        _case.Bytes.AddRange(_bytes.AsSpan(0, length));
        _undefined = UndefinedFlags.After(instruction, _undefined);
        return true;
    }

    /// <summary>Jcc, JMP, LOOP, JRCXZ or CALL over the next few items.</summary>
    private void AddJump()
    {
        var condition = draw.Below(16);
        byte[] bytes = draw.Below(8) switch
        {
            0 => [0xeb, 0],
            1 => [(byte)(0xe0 + draw.Below(4)), 0],
            2 => [0xe8, 0, 0, 0, 0],
            3 => [0x0f, (byte)(0x80 + condition), 0, 0, 0, 0],
            _ => [(byte)(0x70 + condition), 0],
        };
        var reads = bytes[0] switch
        {
            0xe0 or 0xe1 => RflagsBits.ZF,
            0x0f or (>= 0x70 and <= 0x7f) => new Instruction { Code = Code.Jo_rel8_64 + (3 * condition) }.RflagsRead,
            _ => RflagsBits.None,
        };
        if ((reads & _undefined) != 0) return;
        _case.Bytes.AddRange(bytes);
        var displacementBytes = bytes.Length >= 5 ? 4 : 1;
        _landings.Add(new Landing(_case.Bytes.Count - displacementBytes, displacementBytes, 1 + draw.Below(3), _undefined));
    }

    /// <summary>Counts an item for the jumps that were waiting before it, and ends those that have come far enough.</summary>
    private void Land(int waiting)
    {
        for (var i = waiting - 1; i >= 0; i--)
        {
            var landing = _landings[i] with { ItemsLeft = _landings[i].ItemsLeft - 1 };
            _landings[i] = landing;
            if (landing.ItemsLeft > 0) continue;
            var displacement = _case.Bytes.Count - (landing.DisplacementAt + landing.DisplacementBytes);
            for (var at = 0; at < landing.DisplacementBytes; at++) _case.Bytes[landing.DisplacementAt + at] = (byte)(displacement >> (8 * at));
            _undefined |= landing.Undefined;
            _landings.RemoveAt(i);
        }
    }

    private void AddString()
    {
        Append(Instruction.Create(Code.Lea_r64_m, Register.RSI, new MemoryOperand(Register.R13, draw.Below(100) - 50, 1)));
        Append(Instruction.Create(Code.Lea_r64_m, Register.RDI, new MemoryOperand(Register.R13, draw.Below(100) - 50, 1)));
        Append(Instruction.Create(Code.Mov_r32_imm32, Register.ECX, draw.Below(12)));
        var instruction = new Instruction { Code = draw.Of(Strings) };
        var info = instruction.Code.ToOpCode();
        for (var i = 0; i < info.OpCount; i++)
        {
            var kind = info.GetOpKind(i);
            if (kind == OpCodeOperandKind.seg_rSI) instruction.SetOpKind(i, OpKind.MemorySegRSI);
            else if (kind == OpCodeOperandKind.es_rDI) instruction.SetOpKind(i, OpKind.MemoryESRDI);
            else OperandDraw.TrySetRegister(draw, ref instruction, i, kind).ShouldBeTrue();
        }

        // A comparison that is repeated not once leaves the flags, which must be defined then to be so behind it.
        if (draw.OneIn(2)) instruction.HasRepPrefix = true;
        else if (draw.OneIn(2)) instruction.HasRepnePrefix = true;
        var before = _undefined;
        Append(instruction);
        if (instruction.HasRepPrefix || instruction.HasRepnePrefix) _undefined |= before;
    }

    /// <summary>A division that does not overflow.</summary>
    private void AddDivision()
    {
        var code = draw.Of(Divisions);
        var number = draw.Of(Gpr.Rcx, Gpr.Rbx, Gpr.Rsi, 8, 9, 10);
        Append(Instruction.Create(Code.Movzx_r32_rm8, Register.EAX, Register.AL));
        Append(Instruction.Create(Code.Xor_r32_rm32, Register.EDX, Register.EDX));
        Append(Instruction.Create(Code.Or_rm32_imm8, Register.EAX + number, 1));
        var first = code switch { Code.Div_rm8 => Register.None, Code.Div_rm16 or Code.Idiv_rm16 => Register.AX, Code.Div_rm32 or Code.Idiv_rm32 => Register.EAX, _ => Register.RAX };
        Append(Instruction.Create(code, first == Register.None ? (number < 4 ? Register.AL + number : Register.SPL + (number - 4)) : first + number));
    }

    private void Append(in Instruction instruction) => TryAppend(instruction).ShouldBeTrue(instruction.ToString());
}
