using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>Single instructions with their operands.</summary>
internal sealed partial class RandomProgram : IAddresses
{
    private const int Attempts = 60;

    /// <summary>What leads elsewhere, moves the stack, faults more often than not, or takes away the bases of FS and GS; each has an item of its own.</summary>
    private static readonly HashSet<Mnemonic> Apart =
    [
        Mnemonic.Div, Mnemonic.Idiv, Mnemonic.Enter, Mnemonic.Leave, Mnemonic.Pushf, Mnemonic.Pushfq, Mnemonic.Popf, Mnemonic.Popfq, Mnemonic.Push, Mnemonic.Pop, Mnemonic.Xlatb,
        Mnemonic.Hlt, Mnemonic.Iretq, Mnemonic.Retf, Mnemonic.Sysretq, Mnemonic.Syscall, Mnemonic.Swapgs, Mnemonic.Wrfsbase, Mnemonic.Wrgsbase, Mnemonic.Ud0, Mnemonic.Ud1, Mnemonic.Ud2,
        Mnemonic.Int, Mnemonic.Int1, Mnemonic.Int3,
    ];

    /// <summary>What only a kernel may do, or what the machine around answers.</summary>
    private static readonly HashSet<Mnemonic> System =
    [
        Mnemonic.Cli, Mnemonic.Sti, Mnemonic.Clac, Mnemonic.Stac, Mnemonic.Rdmsr, Mnemonic.Wrmsr, Mnemonic.Wbinvd, Mnemonic.Invd, Mnemonic.Invlpg, Mnemonic.In, Mnemonic.Out,
        Mnemonic.Lgdt, Mnemonic.Lidt, Mnemonic.Lldt, Mnemonic.Ltr, Mnemonic.Clts, Mnemonic.Rdpmc, Mnemonic.Cpuid, Mnemonic.Rdtsc, Mnemonic.Rdtscp, Mnemonic.Sgdt, Mnemonic.Sidt,
        Mnemonic.Sldt, Mnemonic.Str, Mnemonic.Verr, Mnemonic.Verw, Mnemonic.Lar, Mnemonic.Lsl, Mnemonic.Serialize, Mnemonic.Wait, Mnemonic.Rdfsbase, Mnemonic.Rdgsbase,
    ];

    private static readonly Code[] Claimed = [.. Enum.GetValues<Code>().Where(IsClaimed)];
    private static readonly Code[] StraightCodes = [.. Claimed.Where(code => !IsString(code) && !Apart.Contains(code.Mnemonic()) && !IsSystem(code) && !IsHint(code))];
    private static readonly Code[] HintCodes = [.. Claimed.Where(code => IsHint(code) && !IsSystem(code))];
    private static readonly Code[] SystemCodes = [.. Claimed.Where(IsSystem)];
    private static readonly Code[] StringCodes = [.. Claimed.Where(code => IsString(code) && code.Mnemonic() is not (Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd))];

    private int _frameBytes;

    /// <summary>Where the memory operand that is drawn next has to be: a register that holds its address, and what is known of its lowest six bits.</summary>
    private (int Register, int IndexRegister)? _forced;

    private enum MemoryUse
    {
        Never,
        Maybe,
        Always,
    }

    public ulong Target { get; private set; }

    public bool TryDraw(ref Instruction instruction, int bytes, int margin)
    {
        // A register's index into a bit string would lead anywhere.
        if (margin != 0 && instruction.Code.ToOpCode().GetOpKind(1) != OpCodeOperandKind.imm8) return false;
        instruction.MemoryIndexScale = 1;

        // Not known, so that nothing is drawn which must not cross a line: a host may take milliseconds for a locked access that does.
        Target = 63;
        var displacement = _draw.Below(1600) - 800;
        if (bytes == 16) displacement &= ~15;
        if (_forced is { } forced)
        {
            instruction.MemoryBase = Register.RAX + forced.Register;
            instruction.MemoryIndex = forced.IndexRegister < 0 ? Register.None : Register.RAX + forced.IndexRegister;
            if (forced.IndexRegister >= 0) instruction.MemoryIndexScale = 1 << _draw.Below(4);
            else displacement = _draw.Below(24) - 16;
            SetDisplacement(ref instruction, displacement);
            return true;
        }

        var pointer = _draw.Below(_pointers.Length);
        switch (_draw.Below(12))
        {
            case 0:
                instruction.MemoryBase = Register.RIP;
                instruction.MemoryDisplacement64 = Target = PointerValues[0] + (ulong)(long)displacement;
                instruction.MemoryDisplSize = 8;
                return true;
            case 1:
                instruction.MemoryDisplacement64 = Target = PointerValues[1] + (ulong)(long)displacement;
                instruction.MemoryDisplSize = 8;
                return true;
            case 2 when bytes < 16:
                instruction.SegmentPrefix = _draw.Of(Register.FS, Register.GS);
                instruction.MemoryDisplacement64 = (ulong)_draw.Below(0xf0);
                instruction.MemoryDisplSize = 8;
                return true;
            case 3 when bytes < 16 && _frameBytes > 0:
                instruction.MemoryBase = Register.RBP;
                SetDisplacement(ref instruction, -16 - _draw.Below(_frameBytes - 16));
                return true;
            case 4 when bytes < 16:
                // Below the stack pointer, where nobody has anything.
                instruction.MemoryBase = Register.RSP;
                SetDisplacement(ref instruction, -32 - _draw.Below(200));
                return true;
            case 5 when PointerValues[pointer] < 0x8000_0000:
                instruction.MemoryBase = Register.EAX + _pointers[pointer];
                SetDisplacement(ref instruction, displacement);
                return true;
            default:
                instruction.MemoryBase = Register.RAX + _pointers[pointer];
                SetDisplacement(ref instruction, displacement);
                Target = PointerValues[pointer] + (ulong)(long)displacement;
                return true;
        }
    }

    private static bool IsClaimed(Code code)
    {
        var info = code.ToOpCode();
        if (!info.IsInstruction || !info.Mode64 || code == Code.INVALID || info.Encoding == EncodingKind.XOP) return false;
        var instruction = new Instruction { Code = code };
        return InstructionTable.Of(instruction) is not UndefinedInstruction && (instruction.FlowControl == FlowControl.Next || instruction.IsStringInstruction);
    }

    private static bool IsString(Code code) => new Instruction { Code = code }.IsStringInstruction;

    /// <summary>Prefetches, fences and NOPs, of which there are more codes than of arithmetic.</summary>
    private static bool IsHint(Code code) => InstructionTable.Of(new Instruction { Code = code }) is NoOperation;

    private static bool IsSystem(Code code)
    {
        if (System.Contains(code.Mnemonic())) return true;
        var info = code.ToOpCode();
        return Enumerable.Range(0, info.OpCount).Any(i => info.GetOpKind(i) is OpCodeOperandKind.cr_reg or OpCodeOperandKind.dr_reg or OpCodeOperandKind.seg_reg);
    }

    private static void SetDisplacement(ref Instruction instruction, long displacement)
    {
        instruction.MemoryDisplacement64 = (ulong)displacement;
        instruction.MemoryDisplSize = displacement is >= -128 and < 128 ? 1 : 8;
    }

    private void AddStraight(MemoryUse memory) => AddOneOf(memory != MemoryUse.Always && _draw.OneIn(30) ? HintCodes : StraightCodes, memory);

    /// <summary>One instruction, or a NOP where none would do.</summary>
    private void AddOneOf(Code[] codes, MemoryUse memory)
    {
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            var instruction = new Instruction { Code = _draw.Of(codes) };
            var info = instruction.Code.ToOpCode();
            var usesMemory = memory == MemoryUse.Always || (memory == MemoryUse.Maybe && _draw.OneIn(3));
            var isGood = true;
            for (var i = 0; i < info.OpCount && isGood; i++)
            {
                var kind = info.GetOpKind(i);
                if (kind is OpCodeOperandKind.mem_offs)
                {
                    instruction.SetOpKind(i, OpKind.Memory);
                    instruction.MemoryDisplacement64 = PointerValues[0] + (ulong)_draw.Below(100);
                    instruction.MemoryDisplSize = 8;
                    instruction.MemoryIndexScale = 1;
                }
                else if (kind == OpCodeOperandKind.mem && memory == MemoryUse.Never)
                {
                    isGood = false;
                }
                else
                {
                    isGood = OperandDraw.TrySet(_draw, ref instruction, i, kind, usesMemory, this);
                }
            }

            if (isGood && memory == MemoryUse.Always) isGood = Enumerable.Range(0, info.OpCount).Any(i => instruction.GetOpKind(i) == OpKind.Memory);
            if (isGood && TryAdd(instruction)) return;
        }

        Append([0x90]);
    }

    /// <summary>A string instruction, its registers set for it and restored where they are somebody's.</summary>
    private void AddString()
    {
        int[] used = [Gpr.Rsi, Gpr.Rdi, Gpr.Rcx];
        int[] saved = [.. used.Where(_protected.Contains)];
        foreach (var register in saved) Add(Instruction.Create(Code.Push_r64, Register.RAX + register));
        if (_draw.OneIn(5)) Append([(byte)_draw.Of(0xfc, 0xfd)]);
        Add(Instruction.Create(Code.Mov_r64_imm64, Register.RSI, PointerValues[0] + (ulong)_draw.Below(100)));
        Add(Instruction.Create(Code.Mov_r64_imm64, Register.RDI, PointerValues[1] + (ulong)_draw.Below(100)));
        var code = _draw.Of(StringCodes);
        var info = code.ToOpCode();
        var isLong = _draw.OneIn(20) && info.Mnemonic is Mnemonic.Stosb or Mnemonic.Movsb or Mnemonic.Lodsb;
        Add(Instruction.Create(Code.Mov_r32_imm32, Register.ECX, isLong ? 4096 + _draw.Below(200) : _draw.Below(14)));
        var instruction = new Instruction { Code = code };
        for (var i = 0; i < info.OpCount; i++)
        {
            var kind = info.GetOpKind(i);
            if (kind == OpCodeOperandKind.seg_rSI) instruction.SetOpKind(i, OpKind.MemorySegRSI);
            else if (kind == OpCodeOperandKind.es_rDI) instruction.SetOpKind(i, OpKind.MemoryESRDI);
            else if (!OperandDraw.TrySetRegister(_draw, ref instruction, i, kind)) throw new InvalidOperationException($"{code} has an operand of kind {kind}");
        }

        if (_draw.OneIn(2)) instruction.HasRepPrefix = true;
        else if (_draw.OneIn(2)) instruction.HasRepnePrefix = true;
        Array.ForEach(used, register => _protected.Remove(register));
        if (!TryAdd(instruction)) Append([0x90]);
        foreach (var register in saved.Reverse())
        {
            _protected.Add(register);
            Add(Instruction.Create(Code.Pop_r64, Register.RAX + register));
        }
    }

    /// <summary>A division; a guarded one has a divisor that is not zero, and a dividend that seldom overflows.</summary>
    private void AddDivision(bool isGuarded)
    {
        int[] saved = [.. new[] { Gpr.Rax, Gpr.Rdx }.Where(_protected.Contains)];
        foreach (var register in saved) Add(Instruction.Create(Code.Push_r64, Register.RAX + register));
        var code = _draw.Of(Divisions);
        var number = _draw.Of(Gpr.Rcx, Gpr.Rbx, Gpr.Rsi, 8, 9, 10);
        var isFree = !_protected.Contains(number);
        if (isGuarded || _draw.OneIn(2)) Add(Instruction.Create(Code.Movzx_r32_rm8, Register.EAX, Register.AL));
        if (isGuarded || _draw.OneIn(2)) Add(Instruction.Create(Code.Xor_r32_rm32, Register.EDX, Register.EDX));
        if (isGuarded && isFree) Add(Instruction.Create(Code.Or_rm32_imm8, Register.EAX + number, 1));
        else if (_draw.OneIn(3) && isFree) Add(Instruction.Create(Code.Xor_r32_rm32, Register.EAX + number, Register.EAX + number));
        Add(Instruction.Create(code, code switch
        {
            Code.Div_rm8 or Code.Idiv_rm8 => number < 4 ? Register.AL + number : Register.SPL + (number - 4),
            Code.Div_rm16 or Code.Idiv_rm16 => Register.AX + number,
            Code.Div_rm32 or Code.Idiv_rm32 => Register.EAX + number,
            _ => Register.RAX + number,
        }));
        foreach (var register in saved.Reverse()) Add(Instruction.Create(Code.Pop_r64, Register.RAX + register));
    }

    /// <summary>Operands with an index that is bounded by a mask, or with an address that a pointer's register was added to.</summary>
    private void AddIndexed()
    {
        var index = Drawn();
        Add(Instruction.Create(Code.And_rm32_imm32, Register.EAX + index, 0x1f8 | _draw.Below(8)));
        if (_draw.OneIn(3))
        {
            // Adding says nothing of the index's lowest bits, which XCHG must not care for.
            Add(Instruction.Create(Code.Add_rm64_r64, Register.RAX + index, Register.RAX + _pointers[0]));
            _forced = (index, -1);
        }
        else
        {
            _forced = (_pointers[_draw.Below(_pointers.Length)], index);
        }

        for (var i = 1 + _draw.Below(3); i > 0; i--) AddStraight(MemoryUse.Always);
        _forced = null;
        _protected.Remove(index);
    }

    /// <summary>PUSHF with or without POPF behind it; status bits, DF, AC, NT and ID are changed on the way, TF now and then.</summary>
    private void AddFlagsOnStack(bool mayTrap)
    {
        Append(_draw.OneIn(6) ? [0x66, 0x9c, 0x66, 0x9d] : [0x9c]);
        if (_bytes[^1] == 0x9d) return;
        if (_draw.OneIn(3))
        {
            Add(Instruction.Create(Code.Pop_r64, Register.RAX + Free()));
            return;
        }

        var flags = _draw.Below(1 << 12) & 0x8d5;
        if (_draw.OneIn(3)) flags |= _draw.Of(0x400, 0x4_0000, 0x4000, 0x20_0000);
        if (mayTrap && _draw.OneIn(2)) flags |= 0x100;
        Append([0x48, 0x81, 0x34, 0x24, (byte)flags, (byte)(flags >> 8), (byte)(flags >> 16), 0]);
        Append([0x9d]);
        if (mayTrap && _draw.OneIn(2)) AddStraight(MemoryUse.Maybe);
    }

    /// <summary>Operands around the end of a page.</summary>
    private void AddEdge(bool mayBeCostly)
    {
        var edges = _layout.Edges.Where(edge => mayBeCostly || !edge.IsCostly).ToArray();
        var register = Drawn();
        Add(Instruction.Create(Code.Mov_r64_imm64, Register.RAX + register, _draw.Of(edges).Address.Value));
        _forced = (register, -1);
        AddStraight(MemoryUse.Always);
        _forced = null;
        _protected.Remove(register);
    }

    private void AddSlot()
    {
        var slot = new GuestAddress(Here);
        Append(SlotContents(slot, new Draw(6)));
        _slots.Add(slot);
    }

    /// <summary>The guest changes a slot itself: the operand of what stands there, or all of it in two stores.</summary>
    private void AddStoreToSlot()
    {
        var slot = _slots[_draw.Below(_slots.Count)];
        if (_draw.OneIn(2))
        {
            Append([0xc6, 0x05, .. Displacement(slot.Value + 1, Here + 7), (byte)_draw.Below(256)]);
            return;
        }

        var content = SlotContents(slot, _draw);
        Append([0xc7, 0x05, .. Displacement(slot.Value, Here + 10), .. content[..4]]);
        if (_draw.OneIn(2)) AddStraight(MemoryUse.Never);
        Append([0xc6, 0x05, .. Displacement(slot.Value + 4, Here + 7), content[4]]);
    }

    /// <summary>What faults, what only a kernel may do, and what leads out of the program.</summary>
    private void AddRare()
    {
        var register = Register.RAX + Free();
        switch (_draw.Below(16))
        {
            case 0: Append([0x0f, 0x0b]); break;
            case 1: Append([0xcc]); break;
            case 2: Append([0xcd, (byte)_draw.Of(3, 4, 0x80)]); break;
            case 3: Append([0x0f, 0x05]); break;
            case 4:
                AddInterruptReturn(register);
                break;
            case 5:
                Add(Instruction.Create(Code.Rdgsbase_r64, register));
                Append(_draw.OneIn(2) ? [0x0f, 0x01, 0xf8, 0x0f, 0x01, 0xf8] : [0x90]);
                Add(Instruction.Create(Code.Wrgsbase_r64, register));
                break;
            case 6:
                // Off the stack for a moment.
                Add(Instruction.Create(Code.Mov_r64_rm64, register, Register.RSP));
                Add(Instruction.Create(Code.Mov_r64_imm64, Register.RSP, _draw.Of<GuestAddress>([.. _layout.Edges.Select(edge => edge.Address)]).Value));
                Append(_draw.OneIn(2) ? [0x50] : [0x58]);
                Add(Instruction.Create(Code.Mov_r64_rm64, Register.RSP, register));
                break;
            case 7:
                Add(Instruction.Create(Code.Mov_r64_imm64, register, _draw.Of<GuestAddress>([.. _layout.Edges.Select(edge => edge.Address)]).Value));
                Add(Instruction.Create(_draw.OneIn(2) ? Code.Jmp_rm64 : Code.Call_rm64, register));
                break;
            case 8:
                Add(Instruction.Create(Code.Xchg_rm64_r64, Register.RSP, register));
                Add(Instruction.Create(Code.Xchg_rm64_r64, Register.RSP, register));
                break;
            default: AddOneOf(SystemCodes, MemoryUse.Maybe); break;
        }
    }

    /// <summary>A frame for IRETQ that leads to what comes next.</summary>
    private void AddInterruptReturn(Register register)
    {
        Add(Instruction.Create(Code.Mov_r64_rm64, register, Register.RSP));
        Append([0x6a, 0x18]);
        Add(Instruction.Create(Code.Push_r64, register));
        Append([0x9c]);
        Append([0x6a, 0x10]);
        Add(Instruction.Create(Code.Lea_r64_m, register, new MemoryOperand(Register.RIP, (long)(Here + 64), 8)));
        var displacementAt = _bytes.Count - 4;
        Add(Instruction.Create(Code.Push_r64, register));
        Append([0x48, 0xcf]);
        Land(displacementAt);
    }
}
