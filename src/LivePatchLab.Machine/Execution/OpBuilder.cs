using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// Fills in one operation from one decoded instruction. The instruction families ask it for their operands, as the types that
/// specialise a handler, and tell it the handler.
/// </summary>
internal sealed unsafe class OpBuilder
{
    private Instruction _instruction;
    private bool _findsHandlers = true;

    /// <summary>True for an instruction for which there is a handler; all others are #UD. The handler is not compiled for the answer.</summary>
    public static bool Accepts(in Instruction instruction)
    {
        Op op;
        var builder = new OpBuilder { _findsHandlers = false };
        builder.Begin(instruction, &op, remaining: 1, careful: false, FlagLiveness.Status);
        return !instruction.IsInvalid && InstructionTable.Of(instruction).TryBuild(builder);
    }

    /// <summary>The instruction being built.</summary>
    public ref readonly Instruction Instruction => ref _instruction;

    public Op* Op { get; private set; }

    /// <summary>True for an operation that runs alone and may meet any kind of memory.</summary>
    public bool IsCareful { get; private set; }

    /// <summary>The flags that something may still see after this instruction.</summary>
    public RflagsBits FlagsSeen { get; private set; }

    public Type FlagUse => FlagsSeen != RflagsBits.None ? typeof(FlagsWanted) : typeof(FlagsUnseen);

    public Type Stack => IsCareful ? typeof(CarefulStack) : typeof(PlainStack);

    /// <summary>Where the block goes on, when the operation is a direct branch.</summary>
    public ulong? Taken { get; private set; }

    public ulong? NotTaken { get; private set; }

    public void Begin(in Instruction instruction, Op* op, int remaining, bool careful, RflagsBits flagsSeen)
    {
        _instruction = instruction;
        Op = op;
        IsCareful = careful;
        FlagsSeen = flagsSeen;
        Taken = NotTaken = null;
        *op = new Op
        {
            Rip = (int)instruction.IP,
            Length = (byte)instruction.Length,
            RemainingInstructions = (byte)remaining,
            Base = NoRegister,
            Index = NoRegister,
        };
    }

    public void Use(Type family, string handler, Type? a = null, Type? b = null, Type? c = null, Type? d = null, Type? e = null, Type? f = null)
    {
        if (_findsHandlers) Op->Handler = HandlerAddress.Of(family, handler, a, b, c, d, e, f);
    }

    public void BranchTo(ulong taken, ulong? notTaken = null)
    {
        Taken = taken;
        NotTaken = notTaken;
    }

    public bool IsMemory(int operand) => operand < _instruction.OpCount && _instruction.GetOpKind(operand) == OpKind.Memory;

    public bool IsRegister(int operand) => operand < _instruction.OpCount && _instruction.GetOpKind(operand) == OpKind.Register
        && _instruction.GetOpRegister(operand).IsGPR();

    public bool IsImmediate(int operand) => operand < _instruction.OpCount
        && _instruction.GetOpKind(operand) is >= OpKind.Immediate8 and <= OpKind.Immediate32to64;

    /// <summary>An operand's type with the operation's fields for it filled in; null for what no handler of ours takes.</summary>
    public Type? Operand(int operand)
    {
        if (operand >= _instruction.OpCount) return null;
        if (IsMemory(operand)) return Memory();
        if (IsImmediate(operand))
        {
            Op->Immediate = (long)_instruction.GetImmediate(operand);
            return typeof(ImmediateSource);
        }

        if (!IsRegister(operand)) return null;
        var offset = OffsetOf(_instruction.GetOpRegister(operand));
        if (operand == 0) Op->Destination = offset;
        else Op->Source = offset;
        return operand == 0 ? typeof(RegisterDestination) : typeof(RegisterSource);
    }

    /// <summary>The width of an operand; null when it is none of the four.</summary>
    public Type? Width(int operand) => WidthOf(Bytes(operand));

    public int Bytes(int operand) => IsMemory(operand) ? _instruction.MemorySize.GetSize()
        : IsRegister(operand) ? _instruction.GetOpRegister(operand).GetSize()
        : 0;

    public static Type? WidthOf(int bytes) => bytes switch
    {
        1 => typeof(Bits8),
        2 => typeof(Bits16),
        4 => typeof(Bits32),
        8 => typeof(Bits64),
        _ => null,
    };

    public static byte OffsetOf(Register register)
    {
        if (register is >= Register.AH and <= Register.BH) return (byte)(((register - Register.AH) * 8) + 1);
        return (byte)((register.GetFullRegister() - Register.RAX) * 8);
    }

    /// <summary>The shape of the memory operand's address, as the operation has it now.</summary>
    public Type AddressShape => (Op->Scale & ~(AnyAddress.ScaleMask | AnyAddress.StackSegment)) != 0 ? typeof(AnyAddress)
        : Op->Index != NoRegister ? typeof(IndexedAddress)
        : typeof(BaseAddress);

    /// <summary>Fills in the address of the memory operand, for who needs the address and not what is there.</summary>
    public void Address() => Memory();

    private const byte NoRegister = 16 * 8;

    private Type Memory()
    {
        Op->Scale = 0;
        var isSpecial = false;
        if (_instruction.IsIPRelativeMemoryOperand) isSpecial = SetRipRelative();
        else
        {
            var displacement = (long)_instruction.MemoryDisplacement64;
            Op->Displacement = (int)displacement;
            Op->Base = _instruction.MemoryBase == Register.None ? NoRegister : OffsetOf(_instruction.MemoryBase);
            Op->Index = _instruction.MemoryIndex == Register.None ? NoRegister : OffsetOf(_instruction.MemoryIndex);
            Op->Scale = (byte)System.Numerics.BitOperations.Log2((uint)_instruction.MemoryIndexScale);
            if (_instruction.MemoryBase.IsGPR32() || _instruction.MemoryIndex.IsGPR32()
                || (_instruction.MemoryBase == Register.None && _instruction.MemoryIndex == Register.None && _instruction.MemoryDisplSize == 4))
            {
                // Without registers only the sign of the displacement tells: [67h disp32] is zero-extended.
                isSpecial = _instruction.MemoryBase != Register.None || _instruction.MemoryIndex != Register.None || displacement != (int)displacement;
                if (isSpecial) Op->Scale |= AnyAddress.Truncate;
            }
            else if (displacement != (int)displacement)
            {
                // MOV of AL … RAX with a 64-bit address: the only operand that does not fit, and it leaves the immediate free.
                Op->Immediate = displacement;
                Op->Scale |= AnyAddress.Absolute;
                isSpecial = true;
            }
        }

        if (_instruction.MemorySegment is Register.FS or Register.GS)
        {
            Op->Scale |= _instruction.MemorySegment == Register.FS ? AnyAddress.Fs : AnyAddress.Gs;
            isSpecial = true;
        }
        else if (_instruction.MemorySegment == Register.SS)
        {
            Op->Scale |= AnyAddress.StackSegment;
        }

        if (IsCareful) return typeof(CarefulMemory);
        if (isSpecial) return typeof(PlainMemory<AnyAddress>);
        return Op->Index != NoRegister ? typeof(PlainMemory<IndexedAddress>) : typeof(PlainMemory<BaseAddress>);
    }

    private bool SetRipRelative()
    {
        var target = (long)_instruction.IPRelativeMemoryAddress;
        Op->Displacement = (int)target;
        if (target == (int)target) return false;

        // Out of reach of the displacement: relative to RIP as in the encoding.
        Op->Displacement = (int)(target - (long)_instruction.NextIP);
        Op->Scale |= AnyAddress.RipRelative;
        if (_instruction.MemoryBase == Register.EIP) Op->Scale |= AnyAddress.Truncate;
        return true;
    }
}
