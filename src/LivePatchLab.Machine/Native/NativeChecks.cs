using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>One question to a register that is used as an address.</summary>
/// <param name="Register">0 … 15 as the encoding numbers them.</param>
/// <param name="KeepsFlags">False where the flags are set anew by the next instruction, so that one comparison will do.</param>
internal readonly record struct AddressCheck(int Register, bool KeepsFlags);

/// <summary>
/// Where in a trace it must be asked whether a register lies in or near the window, so that what it addresses is the machine's memory or
/// the unmapped margin around it (<see cref="GuestView"/>), and never anything else of the host's. A register is known to do so from such a
/// question on, after a write of 32 bits, and as long as only small constants are added to it.
/// </summary>
internal sealed class NativeChecks
{
    // Far less than the margin; no trace has so many instructions that the sum of such constants would leave it.
    private const long LargestStep = 1 << 20;

    private readonly List<AddressCheck>[] _checks = new List<AddressCheck>[TraceBuilder.LongestTrace];
    private readonly InstructionInfoFactory _factory = new();
    private readonly int[] _definedBy = new int[16];
    private uint _known;

    public NativeChecks()
    {
        for (var i = 0; i < _checks.Length; i++) _checks[i] = [];
    }

    /// <summary>What to ask before an instruction of the trace that was planned last.</summary>
    public IReadOnlyList<AddressCheck> Before(int index) => _checks[index];

    /// <param name="trace">Instructions in the order in which they run.</param>
    /// <param name="isPrecise">True where a CPU may begin at any of them: then nothing is known from one to the next.</param>
    public void Plan(ReadOnlySpan<TraceInstruction> trace, bool isPrecise)
    {
        _known = 0;
        Array.Fill(_definedBy, -1);
        for (var i = 0; i < trace.Length; i++) _checks[i].Clear();
        for (var i = 0; i < trace.Length; i++)
        {
            if (isPrecise) _known = 0;
            ref readonly var instruction = ref trace[i].Instruction;
            foreach (var register in Addresses(instruction)) Ask(trace, i, register, isPrecise);
            NoteWrites(instruction, i);
        }
    }

    private void Ask(ReadOnlySpan<TraceInstruction> trace, int index, int register, bool isPrecise)
    {
        if ((_known & (1u << register)) != 0) return;
        _known |= 1u << register;
        for (var k = index - 1; !isPrecise && k > _definedBy[register]; k--)
        {
            if (!NativeFlags.IsKiller(trace[k].Instruction)) continue;
            _checks[k].Add(new(register, KeepsFlags: false));
            return;
        }

        _checks[index].Add(new(register, KeepsFlags: true));
    }

    private static List<int> Addresses(in Instruction instruction)
    {
        var registers = new List<int>();
        if (NativeInstructions.IsNothing(instruction)) return registers;
        if (NativeInstructions.MemoryOperand(instruction) >= 0)
        {
            if (NativeInstructions.Number(instruction.MemoryBase) is >= 0 and var @base) registers.Add(@base);
            if (NativeInstructions.Number(instruction.MemoryIndex) is >= 0 and var index && !registers.Contains(index)) registers.Add(index);
        }

        var implied = instruction.Mnemonic == Mnemonic.Leave ? Gpr.Rbp : instruction.IsStackInstruction ? Gpr.Rsp : -1;
        if (implied >= 0 && !registers.Contains(implied)) registers.Add(implied);
        return registers;
    }

    private void NoteWrites(in Instruction instruction, int index)
    {
        if (NativeInstructions.IsNothing(instruction)) return;
        foreach (var used in _factory.GetInfo(instruction).GetUsedRegisters())
        {
            if (used.Access is not (OpAccess.Write or OpAccess.ReadWrite or OpAccess.CondWrite or OpAccess.ReadCondWrite)) continue;
            var register = NativeInstructions.Number(used.Register);
            if (register < 0 || Stays(instruction, used.Register)) continue;
            _definedBy[register] = index;

            // A 32-bit result has no upper half; a copy is as well known as what it is a copy of.
            var isFirst = instruction.OpCount > 0 && instruction.Op0Kind == OpKind.Register && NativeInstructions.Number(instruction.Op0Register) == register;
            var isKnown = isFirst && (HasNoUpperHalf(instruction) || IsCopyOfKnown(instruction));
            _known = isKnown ? _known | (1u << register) : _known & ~(1u << register);
        }
    }

    /// <summary>The write moves the register by a small step at most.</summary>
    private static bool Stays(in Instruction instruction, Register register)
    {
        if (register.GetSize() <= 2) return true;
        if (!register.IsGPR64()) return false;
        if (register == Register.RSP && instruction.Mnemonic is Mnemonic.Push or Mnemonic.Pop or Mnemonic.Call or Mnemonic.Ret)
            return instruction.Mnemonic != Mnemonic.Pop || instruction.Op0Register != Register.RSP;
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

    private bool IsKnown(Register register) => (_known & (1u << NativeInstructions.Number(register))) != 0;
}
