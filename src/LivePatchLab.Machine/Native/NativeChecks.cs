using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>What is asked of an address.</summary>
internal enum AddressQuestion
{
    /// <summary>Whether a register that is used as one lies in reach, if it is canonical; if not, the access itself is refused.</summary>
    Register,

    /// <summary>Whether a register that becomes RSP lies in reach, canonical or not.</summary>
    Exactly,

    /// <summary>Whether the sum that is accessed lies in reach.</summary>
    Sum,
}

/// <summary>One question before an instruction.</summary>
/// <param name="Question">Which.</param>
/// <param name="Register">0 … 15 as the encoding numbers them; nothing for a sum.</param>
internal readonly record struct AddressCheck(AddressQuestion Question, int Register);

/// <summary>
/// Where in a trace it must be asked whether a register lies in or near the window, so that what it addresses is the machine's memory or
/// the unmapped margin around it (<see cref="GuestView"/>), and never anything else of the host's. A register is known to do so from such a
/// question on, after a result that is small, and as long as only small constants are added to it. RSP is known wherever a unit begins: what
/// would have it point anywhere is asked for, or left to the interpreter (<see cref="MayMoveStack"/>).
/// </summary>
internal sealed class NativeChecks
{
    // Far less than the margin; no trace has so many instructions that the sum of such constants would leave it.
    private const long LargestStep = 1 << 20;

    private readonly List<AddressCheck>[] _checks = new List<AddressCheck>[TraceBuilder.LongestTrace];
    private readonly InstructionInfoFactory _factory = new();
    private readonly bool[] _waits = new bool[TraceBuilder.LongestTrace];
    private uint _known;

    // Registers whose value was loaded or worked out in the trace, and is more than a count of steps.
    private uint _computed;

    private const uint StackAlone = 1u << Gpr.Rsp;

    public NativeChecks()
    {
        for (var i = 0; i < _checks.Length; i++) _checks[i] = [];
    }

    /// <summary>What to ask before an instruction of the trace that was planned last.</summary>
    public IReadOnlyList<AddressCheck> Before(int index) => _checks[index];

    /// <summary>True for an instruction of that trace whose address must have been worked out before, so that what it loads comes the later the longer that takes.</summary>
    public bool WaitsForAddress(int index) => _waits[index];

    /// <param name="trace">Instructions in the order in which they run.</param>
    /// <param name="isPrecise">True where a CPU may begin at any of them: then nothing is known from one to the next.</param>
    public void Plan(ReadOnlySpan<TraceInstruction> trace, bool isPrecise)
    {
        _known = StackAlone;
        _computed = 0;
        for (var i = 0; i < trace.Length; i++)
        {
            _checks[i].Clear();
            _waits[i] = false;
            if (isPrecise) _known = StackAlone;
            ref readonly var instruction = ref trace[i].Instruction;
            if (NativeInstructions.IsNothing(instruction)) continue;
            AskForOperand(instruction, i);
            _waits[i] = NativeInstructions.MemoryOperand(instruction) >= 0 && (IsComputed(instruction.MemoryBase) || IsComputed(instruction.MemoryIndex));
            if (instruction.Mnemonic == Mnemonic.Leave) Ask(i, AddressQuestion.Register, Gpr.Rbp);
            if (IsStackWritten(instruction)) AskForStack(trace, i, isPrecise);
            NoteWrites(instruction);
        }
    }

    /// <summary>False where RSP gets a value that is neither a small step from the last nor another register's.</summary>
    public static bool MayMoveStack(in Instruction instruction)
    {
        // These write a second operand.
        if (instruction.Mnemonic is Mnemonic.Xchg or Mnemonic.Xadd or Mnemonic.Mulx && instruction.Op1Kind == OpKind.Register && instruction.Op1Register.GetFullRegister() == Register.RSP) return false;
        return !IsStackWritten(instruction) || instruction.Op0Register.GetSize() < 8 || Stays(instruction, Register.RSP) || StackSource(instruction) >= 0;
    }

    // Of the explicit operands; what pushes and pops do besides is an access, too.
    private static bool IsStackWritten(in Instruction instruction)
        => instruction.OpCount > 0 && instruction.Op0Kind == OpKind.Register && instruction.Op0Register.GetFullRegister() == Register.RSP
            && instruction.Mnemonic is not (Mnemonic.Push or Mnemonic.Cmp or Mnemonic.Test or Mnemonic.Bt or Mnemonic.Call or Mnemonic.Jmp);

    private static int StackSource(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Mov when instruction.Op1Kind == OpKind.Register => NativeInstructions.Number(instruction.Op1Register),
        Mnemonic.Lea when instruction.MemoryIndex == Register.None && Math.Abs((long)instruction.MemoryDisplacement64) <= LargestStep => NativeInstructions.Number(instruction.MemoryBase),
        _ => -1,
    };

    /// <summary>
    /// What is copied to RSP must be in reach. A step alone is small, but steps come in loops: unless an access follows in any case, the one before has to have
    /// led nowhere.
    /// </summary>
    private void AskForStack(ReadOnlySpan<TraceInstruction> trace, int at, bool isPrecise)
    {
        ref readonly var instruction = ref trace[at].Instruction;
        if (instruction.Op0Register.GetSize() < 8 || instruction.Mnemonic == Mnemonic.Pop) return;
        if (!Stays(instruction, Register.RSP)) Ask(at, AddressQuestion.Exactly, StackSource(instruction));
        else if (isPrecise || !IsAccessSure(trace[(at + 1)..])) _checks[at].Add(new(AddressQuestion.Register, Gpr.Rsp));
    }

    private static bool IsAccessSure(ReadOnlySpan<TraceInstruction> next)
    {
        foreach (ref readonly var entry in next)
        {
            ref readonly var instruction = ref entry.Instruction;
            if (instruction.IsStackInstruction && instruction.Mnemonic != Mnemonic.Leave && !NativeInstructions.IsNothing(instruction)) return true;
            if (instruction.FlowControl != FlowControl.Next || IsStackWritten(instruction)) return false;
            if (NativeInstructions.MemoryOperand(instruction) >= 0 && !NativeInstructions.IsInSegment(instruction) && instruction.MemoryBase == Register.RSP && instruction.MemoryIndex == Register.None) return true;
        }

        return false;
    }

    private void AskForOperand(in Instruction instruction, int at)
    {
        if (NativeInstructions.MemoryOperand(instruction) < 0) return;
        if (NativeInstructions.IsInSegment(instruction))
        {
            // Another CPU has another base, and tells nothing about the registers.
            _checks[at].Add(new(AddressQuestion.Sum, -1));
            return;
        }

        var (@base, index) = (NativeInstructions.Number(instruction.MemoryBase), NativeInstructions.Number(instruction.MemoryIndex));
        var (isBaseKnown, isIndexKnown) = (@base < 0 || IsKnown(@base), index < 0 || IsKnown(index));
        if (isIndexKnown)
        {
            if (!isBaseKnown) Ask(at, AddressQuestion.Register, @base);
        }
        else if (isBaseKnown && @base >= 0 && instruction.MemoryIndexScale == 1)
        {
            Ask(at, AddressQuestion.Register, index);
        }
        else
        {
            // A product or the sum of two may be canonical where they are not, and tells nothing about them.
            _checks[at].Add(new(AddressQuestion.Sum, -1));
        }
    }

    private void Ask(int at, AddressQuestion question, int register)
    {
        if (IsKnown(register)) return;
        _known |= 1u << register;
        _checks[at].Add(new(question, register));
    }

    private void NoteWrites(in Instruction instruction)
    {
        foreach (var used in _factory.GetInfo(instruction).GetUsedRegisters())
        {
            if (used.Access is not (OpAccess.Write or OpAccess.ReadWrite or OpAccess.CondWrite or OpAccess.ReadCondWrite)) continue;
            var register = NativeInstructions.Number(used.Register);
            if (register is < 0 or Gpr.Rsp || Stays(instruction, used.Register)) continue;

            // A 32-bit result has no upper half; a copy is as well known as what it is a copy of.
            var isFirst = instruction.OpCount > 0 && instruction.Op0Kind == OpKind.Register && NativeInstructions.Number(instruction.Op0Register) == register;
            var isKnown = (isFirst && (HasNoUpperHalf(instruction) || IsExtended(instruction) || IsCopyOfKnown(instruction))) || instruction.Mnemonic == Mnemonic.Cdqe;
            _known = isKnown ? _known | (1u << register) : _known & ~(1u << register);
            _computed = IsResult(instruction) ? _computed | (1u << register) : _computed & ~(1u << register);
        }
    }

    private bool IsComputed(Register register) => NativeInstructions.Number(register) is >= 0 and var number && (_computed & (1u << number)) != 0;

    /// <summary>What is written is neither a constant nor a step of a count, nor the copy of one.</summary>
    private bool IsResult(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Inc or Mnemonic.Dec => false,
        Mnemonic.Mov when instruction.Op1Kind == OpKind.Register => IsComputed(instruction.Op1Register),
        Mnemonic.Lea => IsComputed(instruction.MemoryBase) || IsComputed(instruction.MemoryIndex),
        Mnemonic.Mov or Mnemonic.Add or Mnemonic.Sub => instruction.Op1Kind is OpKind.Register or OpKind.Memory,
        _ => true,
    };

    /// <summary>The write moves the register by a small step at most.</summary>
    private static bool Stays(in Instruction instruction, Register register)
    {
        if (register.GetSize() <= 2) return true;
        if (!register.IsGPR64()) return false;
        if (instruction.OpCount == 0 || instruction.Op0Kind != OpKind.Register || instruction.Op0Register != register) return false;
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Inc or Mnemonic.Dec:
                return true;
            case Mnemonic.Add or Mnemonic.Sub:
                return instruction.Op1Kind is OpKind.Immediate8to64 or OpKind.Immediate32to64 && Math.Abs((long)instruction.GetImmediate(1)) <= LargestStep;
            case Mnemonic.And:
                // Rounding down.
                return instruction.Op1Kind is OpKind.Immediate8to64 or OpKind.Immediate32to64 && (long)instruction.GetImmediate(1) is < 0 and >= -LargestStep;
            case Mnemonic.Lea:
                return instruction.MemoryBase == register && instruction.MemoryIndex == Register.None && Math.Abs((long)instruction.MemoryDisplacement64) <= LargestStep;
            default:
                return false;
        }
    }

    private bool IsCopyOfKnown(in Instruction instruction)
    {
        if (instruction.Mnemonic == Mnemonic.Mov && instruction.Op0Kind == OpKind.Register && instruction.Op1Kind == OpKind.Register)
            return instruction.Op1Register.IsGPR64() && IsKnown(instruction.Op1Register);
        if (instruction.Mnemonic == Mnemonic.Mov && instruction.Op0Kind == OpKind.Register && instruction.Op1Kind is OpKind.Immediate32to64 or OpKind.Immediate64)
            return (long)instruction.GetImmediate(1) is var value && value == (int)value;
        return instruction.Mnemonic == Mnemonic.Lea && instruction.MemoryIndex == Register.None && instruction.MemoryBase.IsGPR64() && IsKnown(instruction.MemoryBase)
            && Math.Abs((long)instruction.MemoryDisplacement64) <= LargestStep;
    }

    // BSF and BSR of 0, and a CMPXCHG that fails, may leave the register as it was.
    private static bool HasNoUpperHalf(in Instruction instruction)
        => instruction.Op0Register.IsGPR32() && instruction.Mnemonic is not (Mnemonic.Bsf or Mnemonic.Bsr or Mnemonic.Cmpxchg);

    private static bool IsExtended(in Instruction instruction) => instruction.Mnemonic is Mnemonic.Movsxd or Mnemonic.Movsx or Mnemonic.Movzx && instruction.Op0Register.IsGPR64();

    private bool IsKnown(Register register) => IsKnown(NativeInstructions.Number(register));

    private bool IsKnown(int register) => (_known & (1u << register)) != 0;
}
