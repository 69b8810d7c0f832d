using System.Buffers.Binary;
using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// A program of many blocks, drawn: functions with loops, jumps and calls of every kind, in them any instructions with any operands. It runs for ever. Registers that are
/// pointers or count a loop are written by nothing else, so that most accesses go where they may and every loop ends; what faults all the same is skipped by the handler.
/// </summary>
internal sealed partial class RandomProgram
{
    /// <summary>Bytes of a place that may hold any of several instructions in turn.</summary>
    public const int SlotBytes = 5;

    private const int ItemsMax = 260;

    /// <summary>How often an instruction may be executed in one call of its function, and how many a call from inside a loop may cost in all: else one loop would be all that is ever seen.</summary>
    private const long TimesMax = 2_000, CallCostMax = 4_000;

    private readonly Draw _draw;
    private readonly ProgramLayout _layout;
    private readonly List<byte> _bytes = [];
    private readonly List<ulong> _starts = [];
    private readonly List<ulong> _table = [];
    private readonly List<Function> _functions = [];
    private readonly List<GuestAddress> _slots = [];
    private readonly byte[] _encoded = new byte[InstructionFetch.LongestInstruction];
    private readonly InstructionInfoFactory _uses = new();

    /// <summary>The registers that nothing may write but what is meant to.</summary>
    private readonly HashSet<int> _protected = [Gpr.Rsp];

    private readonly List<int> _counters = [];
    private readonly int[] _pointers;

    /// <summary>One that is never protected: what a slot may change.</summary>
    private readonly int _scratch;

    private readonly ulong _stub;
    private int _items;

    /// <summary>How often what is being added will be executed, and what has been added so far will cost, both for one call of the function.</summary>
    private long _times = 1, _cost;

    public RandomProgram(Draw draw, ProgramLayout layout)
    {
        (_draw, _layout) = (draw, layout);
        _scratch = draw.Of(Gpr.Rax, Gpr.Rdx, Gpr.Rbx);
        _pointers = [Drawn(), Drawn()];
        PointerValues = [.. _pointers.Select(_ => (layout.Data + 0x1000 + (64 * draw.Below(ProgramLayout.PointerBytes / 64))).Value)];

        _stub = Here;
        Add(Instruction.Create(Code.Add_rm64_imm8, Register.RAX + _scratch, 7));
        Append([0xc3]);
        for (var i = 3 + draw.Below(4); i > 0; i--) AddFunction();
        Entry = new(Here);
        for (var i = 1 + draw.Below(4); i > 0; i--) AddItem(depth: 0);
        foreach (var function in _functions.TakeLast(3)) AddCall(function);
        Append([0xe9, .. Displacement(Entry.Value, Here + 5)]);
        if (_bytes.Count > ProgramLayout.CodeBytes) throw new InvalidOperationException($"a program of {_bytes.Count} bytes does not fit");
    }

    private sealed record Function(ulong Start, int ReturnBytes, long Cost);

    public GuestAddress Entry { get; }

    public byte[] Bytes => [.. _bytes];

    public IReadOnlyList<ulong> Table => _table;

    public IReadOnlyList<int> Pointers => _pointers;

    public ulong[] PointerValues { get; }

    /// <summary>Where <see cref="SlotContents"/> go.</summary>
    public IReadOnlyList<GuestAddress> Slots => _slots;

    public GuestAddress End => new(Here);

    private ulong Here => _layout.Code.Value + (ulong)_bytes.Count;

    /// <summary>The instruction behind the one that begins at, or goes over, an address; null outside the program.</summary>
    public GuestAddress? Behind(GuestAddress address)
    {
        if (address.Value < _layout.Code.Value || address.Value >= Here) return null;
        var at = _starts.BinarySearch(address.Value + 1);
        if (at < 0) at = ~at;
        return at < _starts.Count ? new(_starts[at]) : null;
    }

    /// <summary>Five bytes that may stand in a slot: all that the place of a traced function may hold, and more.</summary>
    public byte[] SlotContents(GuestAddress slot, Draw draw) => draw.Below(7) switch
    {
        0 => [0xe8, .. Displacement(_stub, slot.Value + SlotBytes)],
        1 => [(byte)(0xb8 + _scratch), .. draw.Bytes(4)],
        2 => [0x81, (byte)(0xc0 + _scratch), .. draw.Bytes(3)],
        3 => [0xe9, 0, 0, 0, 0],
        4 => [0xcc, 0x1f, 0x44, 0, 0],
        5 => [0x66, 0x90, 0x0f, 0x1f, 0x00],
        _ => [0x0f, 0x1f, 0x44, 0, 0],
    };

    private static byte[] Displacement(ulong target, ulong from)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, (int)(target - from));
        return bytes;
    }

    /// <summary>A register that is free, and is not any more.</summary>
    private int Drawn()
    {
        var register = Free();
        _protected.Add(register);
        return register;
    }

    private int Free()
    {
        while (true)
        {
            var register = _draw.Below(16);
            if (register != _scratch && !_protected.Contains(register)) return register;
        }
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        _starts.Add(Here);
        _bytes.AddRange(bytes);
        _cost += _times;
    }

    /// <summary>Adds an instruction whatever it writes.</summary>
    private void Add(Instruction instruction)
    {
        if (!InstructionBytes.TryEncode(ref instruction, Here, _encoded, out var length)) throw new InvalidOperationException($"{instruction} has no encoding of its own");
        Append(_encoded.AsSpan(0, length));
    }

    /// <summary>Adds an instruction unless it writes what is protected, or has no such encoding.</summary>
    private bool TryAdd(Instruction instruction)
    {
        if (!InstructionBytes.TryEncode(ref instruction, Here, _encoded, out var length) || WritesProtected(instruction)) return false;
        Append(_encoded.AsSpan(0, length));
        return true;
    }

    private bool WritesProtected(in Instruction instruction)
    {
        foreach (var used in _uses.GetInfo(instruction).GetUsedRegisters())
        {
            if (used.Access is OpAccess.Read or OpAccess.CondRead or OpAccess.None or OpAccess.NoMemAccess) continue;
            var register = used.Register.GetFullRegister();
            if (register is >= Register.RAX and <= Register.R15 && _protected.Contains(register - Register.RAX)) return true;
        }

        return false;
    }

    /// <summary>A jump of 32 bits whose target comes later.</summary>
    private int AddForward(params ReadOnlySpan<byte> opcode)
    {
        Append([.. opcode, 0, 0, 0, 0]);
        return _bytes.Count - 4;
    }

    private void Land(int displacementAt)
    {
        var bytes = Displacement(Here, _layout.Code.Value + (ulong)displacementAt + 4);
        for (var i = 0; i < 4; i++) _bytes[displacementAt + i] = bytes[i];
    }

    private void AddFunction()
    {
        var start = Here;
        _cost = 0;
        var returnBytes = _draw.OneIn(4) ? 8 * (1 + _draw.Below(2)) : 0;
        var hasFrame = _draw.OneIn(2) && _protected.Add(Gpr.Rbp);
        if (hasFrame)
        {
            _frameBytes = 32 + (8 * _draw.Below(20));
            if (_draw.OneIn(3))
            {
                Add(Instruction.Create(Code.Enterq_imm16_imm8, _frameBytes, 0));
            }
            else
            {
                Add(Instruction.Create(Code.Push_r64, Register.RBP));
                Add(Instruction.Create(Code.Mov_r64_rm64, Register.RBP, Register.RSP));
                Add(Instruction.Create(Code.Sub_rm64_imm32, Register.RSP, _frameBytes));
            }
        }

        for (var items = 3 + _draw.Below(8); items > 0; items--) AddItem(depth: 0);
        if (hasFrame)
        {
            if (_draw.OneIn(2))
            {
                Append([0xc9]);
            }
            else
            {
                Add(Instruction.Create(Code.Lea_r64_m, Register.RSP, new MemoryOperand(Register.RBP)));
                Add(Instruction.Create(Code.Pop_r64, Register.RBP));
            }

            _protected.Remove(Gpr.Rbp);
            _frameBytes = 0;
        }

        if (returnBytes > 0) Append([0xc2, (byte)returnBytes, 0]);
        else if (_draw.OneIn(4)) Append([0xf3, 0xc3]);
        else Append([0xc3]);
        _functions.Add(new(start, returnBytes, _cost));
    }

    private void AddCall(Function function)
    {
        _cost += _times * function.Cost;
        foreach (var counter in _counters) Add(Instruction.Create(Code.Push_r64, Register.RAX + counter));
        for (var i = 0; i < function.ReturnBytes; i += 8) Append([0x6a, (byte)_draw.Below(128)]);
        switch (_draw.Below(5))
        {
            case 0:
                AddTable(function.Start);
                Add(new Instruction { Code = Code.Call_rm64, Op0Kind = OpKind.Memory, MemoryDisplacement64 = TableEnd(1), MemoryDisplSize = 8 });
                break;
            case 1:
                var register = Register.RAX + Free();
                Add(Instruction.Create(Code.Lea_r64_m, register, new MemoryOperand(Register.RIP, (long)function.Start, 8)));
                Add(Instruction.Create(Code.Call_rm64, register));
                break;
            default:
                Append([0xe8, .. Displacement(function.Start, Here + 5)]);
                break;
        }

        for (var i = _counters.Count - 1; i >= 0; i--) Add(Instruction.Create(Code.Pop_r64, Register.RAX + _counters[i]));
    }

    private void AddTable(params ReadOnlySpan<ulong> targets) => _table.AddRange(targets);

    /// <summary>Where the last entries of the table are.</summary>
    private ulong TableEnd(int entries) => (_layout.Tables + (8 * (_table.Count - entries))).Value;
}
