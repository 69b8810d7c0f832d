using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>What a function is made of.</summary>
internal sealed partial class RandomProgram
{
    private const int DepthMax = 3;

    private static readonly Code[] Counting8 = [Code.Dec_rm8], Counting = [Code.Dec_rm16, Code.Dec_rm32, Code.Dec_rm64];

    private static readonly Code[] Divisions =
    [
        Code.Div_rm8, Code.Div_rm16, Code.Div_rm32, Code.Div_rm64,
        Code.Idiv_rm8, Code.Idiv_rm16, Code.Idiv_rm32, Code.Idiv_rm64,
    ];

    /// <param name="depth">Loops and conditions around it: the deeper, the more often it is executed, and the rarer is what takes long.</param>
    private void AddItem(int depth)
    {
        if (_items++ > ItemsMax)
        {
            AddStraight(MemoryUse.Maybe);
            return;
        }

        var mayBeCostly = _draw.OneIn(depth == 0 ? 3 : 40);
        switch (_draw.Below(100))
        {
            case < 6: AddSkip(); break;
            case < 13 when depth < DepthMax: AddCondition(depth); break;
            case < 22 when depth < DepthMax: AddLoop(depth); break;
            case < 28 when _functions.Exists(MayCall): AddCall(_draw.Of<Function>([.. _functions.Where(MayCall)])); break;
            case < 32 when depth < DepthMax: AddSwitch(depth); break;
            case < 35: AddJumpByRegister(); break;
            case < 41: AddStackUse(); break;
            case < 44: AddString(); break;
            case < 47: AddDivision(isGuarded: !mayBeCostly); break;
            case < 51: AddIndexed(); break;
            case < 54: AddFlagsOnStack(mayBeCostly); break;
            case < 57: AddEdge(mayBeCostly); break;
            case < 61: AddSlot(); break;
            case < 63 when _slots.Count > 0 && (_layout.IsCodeWritable || mayBeCostly): AddStoreToSlot(); break;
            case < 67 when mayBeCostly: AddRare(); break;
            default: AddStraight(MemoryUse.Maybe); break;
        }
    }

    private bool MayCall(Function function) => _times * function.Cost <= CallCostMax;

    private void AddItems(int count, int depth)
    {
        for (; count > 0; count--) AddItem(depth);
    }

    /// <summary>A short jump over one instruction, whose flags may have been made far away.</summary>
    private void AddSkip()
    {
        // JRCXZ and JECXZ are conditions too.
        if (_draw.OneIn(12)) Append(_draw.OneIn(2) ? [0xe3, 0] : [0x67, 0xe3, 0]);
        else Append([(byte)(0x70 + _draw.Below(16)), 0]);
        var from = _bytes.Count;
        AddStraight(MemoryUse.Maybe);
        _bytes[from - 1] = (byte)(_bytes.Count - from);
    }

    private void AddCondition(int depth)
    {
        if (_draw.OneIn(2)) AddComparison();
        var otherwise = AddForward(0x0f, (byte)(0x80 + _draw.Below(16)));
        AddItems(1 + _draw.Below(3), depth + 1);
        if (_draw.OneIn(2))
        {
            Land(otherwise);
            return;
        }

        var end = AddForward(0xe9);
        Land(otherwise);
        AddItems(1 + _draw.Below(2), depth + 1);
        Land(end);
    }

    private void AddComparison()
    {
        var (a, b) = (Register.RAX + _draw.Below(16), Register.RAX + _draw.Below(16));
        switch (_draw.Below(4))
        {
            case 0: Add(Instruction.Create(Code.Cmp_rm64_r64, a, b)); break;
            case 1: Add(Instruction.Create(Code.Test_rm64_r64, a, b)); break;
            case 2: Add(Instruction.Create(Code.Cmp_rm64_imm8, a, _draw.Below(256) - 128)); break;
            default: Add(Instruction.Create(Code.Bt_rm64_imm8, a, _draw.Below(64))); break;
        }
    }

    /// <summary>Down to zero in a register or on the stack, up to a bound, or by LOOP.</summary>
    private void AddLoop(int depth)
    {
        var iterations = (int)Math.Clamp(_draw.OneIn(8) ? 200 + _draw.Below(3000) : 2 + _draw.Below(40), 2, Math.Max(2, TimesMax / _times));
        _times *= iterations;
        AddLoop(iterations, depth);
        _times /= iterations;
    }

    private void AddLoop(int iterations, int depth)
    {
        if (_draw.OneIn(6))
        {
            Append([0x68, (byte)iterations, (byte)(iterations >> 8), 0, 0]);
            var again = Here;
            AddItems(1 + _draw.Below(4), depth + 1);
            Append([0x48, 0xff, 0x0c, 0x24]);
            AddBackward(again, condition: 5);
            Append([0x48, 0x8d, 0x64, 0x24, 0x08]);
            return;
        }

        var counter = Drawn();
        _counters.Add(counter);
        var isUp = _draw.OneIn(3);
        Add(Instruction.Create(Code.Mov_r32_imm32, Register.EAX + counter, isUp ? 0 : iterations));
        var start = Here;
        AddItems(1 + _draw.Below(5), depth + 1);
        if (isUp)
        {
            Add(Instruction.Create(Code.Add_rm64_imm8, Register.RAX + counter, 1));
            Add(Instruction.Create(Code.Cmp_rm32_imm32, Register.EAX + counter, iterations));
            AddBackward(start, _draw.Of(2, 5, 12));
        }
        else if (counter == Gpr.Rcx && Here + 2 - start < 120 && _draw.OneIn(2))
        {
            Append([0xe2, (byte)(start - (Here + 2))]);
        }
        else
        {
            var code = _draw.Of(iterations < 100 && _draw.OneIn(3) ? Counting8 : Counting);
            var register = code switch
            {
                Code.Dec_rm8 => counter < 4 ? Register.AL + counter : Register.SPL + (counter - 4),
                Code.Dec_rm16 => Register.AX + counter,
                Code.Dec_rm32 => Register.EAX + counter,
                _ => Register.RAX + counter,
            };
            Add(Instruction.Create(code, register));
            AddBackward(start, _draw.Of(5, 15));
        }

        _counters.Remove(counter);
        _protected.Remove(counter);
    }

    private void AddBackward(ulong target, int condition)
    {
        var near = (long)(target - (Here + 2));
        if (near >= -128) Append([(byte)(0x70 + condition), (byte)near]);
        else Append([0x0f, (byte)(0x80 + condition), .. Displacement(target, Here + 6)]);
    }

    /// <summary>An indirect jump through a table to one of four places.</summary>
    private void AddSwitch(int depth)
    {
        const int Cases = 4;
        var index = Drawn();
        Add(Instruction.Create(Code.Mov_r32_rm32, Register.EAX + index, Register.EAX + _draw.Below(16)));
        Add(Instruction.Create(Code.And_rm32_imm8, Register.EAX + index, Cases - 1));
        AddTable(0, 0, 0, 0);
        var first = _table.Count - Cases;
        Add(new Instruction
        {
            Code = Code.Jmp_rm64,
            Op0Kind = OpKind.Memory,
            MemoryIndex = Register.RAX + index,
            MemoryIndexScale = 8,
            MemoryDisplacement64 = TableEnd(Cases),
            MemoryDisplSize = 8,
        });
        _protected.Remove(index);
        List<int> ends = [];
        for (var i = 0; i < Cases; i++)
        {
            _table[first + i] = Here;
            AddItem(depth + 1);
            if (i < Cases - 1) ends.Add(AddForward(0xe9));
        }

        ends.ForEach(Land);
    }

    private void AddJumpByRegister()
    {
        var register = Register.RAX + Free();
        var lea = _bytes.Count;
        Add(Instruction.Create(Code.Lea_r64_m, register, new MemoryOperand(Register.RIP, (long)(Here + 64), 8)));
        var displacementAt = _bytes.Count - 4;
        if (displacementAt - lea != 3) throw new InvalidOperationException("LEA from RIP has seven bytes");
        Add(Instruction.Create(Code.Jmp_rm64, register));
        if (_draw.OneIn(2)) AddStraight(MemoryUse.Maybe);
        Land(displacementAt);
    }

    private void AddStackUse()
    {
        var register = Register.RAX + _draw.Below(16);
        switch (_draw.Below(5))
        {
            case 0:
                Add(Instruction.Create(Code.Push_r64, register));
                AddStraight(MemoryUse.Maybe);
                Add(Instruction.Create(Code.Pop_r64, Register.RAX + Free()));
                break;
            case 1:
                var bytes = 8 * (1 + _draw.Below(8));
                Add(Instruction.Create(Code.Sub_rm64_imm8, Register.RSP, bytes));
                AddStraight(MemoryUse.Maybe);
                Add(_draw.OneIn(2)
                    ? Instruction.Create(Code.Add_rm64_imm8, Register.RSP, bytes)
                    : Instruction.Create(Code.Sub_rm64_imm8, Register.RSP, -bytes));
                break;
            case 2:
                Add(Instruction.Create(Code.Push_r16, Register.AX + _draw.Below(16)));
                AddStraight(MemoryUse.Never);
                Add(Instruction.Create(Code.Pop_r16, Register.AX + Free()));
                break;
            case 3:
                Append([0x6a, (byte)_draw.Below(256)]);
                AddStraight(MemoryUse.Maybe);
                Add(Instruction.Create(Code.Lea_r64_m, Register.RSP, new MemoryOperand(Register.RSP, 8, 1)));
                break;
            default:
                Add(new Instruction { Code = Code.Push_rm64, Op0Kind = OpKind.Memory, MemoryBase = Register.RAX + _pointers[0], MemoryDisplacement64 = 0x20, MemoryDisplSize = 1, MemoryIndexScale = 1 });
                Add(new Instruction { Code = Code.Pop_rm64, Op0Kind = OpKind.Memory, MemoryBase = Register.RAX + _pointers[1], MemoryDisplacement64 = 0x48, MemoryDisplSize = 1, MemoryIndexScale = 1 });
                break;
        }
    }
}
