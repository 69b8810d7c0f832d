using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// What the manuals leave undefined comes out one way in the interpreter and may come out another on the host, and processors differ among
/// each other. So each kind of instruction that leaves something undefined is tried on the host, once a process, beside the interpreter's own handler: where
/// a flag came out otherwise and could be seen, the interpreter does the instruction.
/// </summary>
internal sealed unsafe class FlagFidelity(CodeMemory memory, NativeEmitter emitter, NativeThunks thunks)
{
    private const int Trials = 400;

    // The registers that stand for the operands; that of a single one is RCX, as RAX is implied then.
    private static readonly int[] Stored = [Gpr.Rax, Gpr.Rcx, Gpr.Rbx];

    // Beyond the six: a register came out otherwise.
    private const RflagsBits Result = RflagsBits.IF;

    private static readonly Lock Trying = new();

    // Processors rotate memory otherwise than registers, as far as OF goes.
    private static readonly Dictionary<(Code Code, bool HasMemory), RflagsBits> Differing = [];

    /// <summary>True where the host leaves the flags that may be seen, and all registers, as the interpreter does.</summary>
    public bool IsFaithful(in Instruction instruction, RflagsBits seen)
    {
        lock (Trying)
        {
            var kind = (instruction.Code, HasMemory: NativeInstructions.MemoryOperand(instruction) >= 0);
            if (!Differing.TryGetValue(kind, out var differing)) Differing[kind] = differing = Try(instruction);
            return (differing & (seen | Result)) == 0;
        }
    }

    private RflagsBits Try(in Instruction original)
    {
        var differing = RflagsBits.None;
        using var arena = new OpArena();
        var builder = new BlockBuilder(arena);
        var state = 0x9e3779b97f4a7c15UL;
        CpuState native, interpreted;
        var memoryOperand = NativeInstructions.MemoryOperand(original);
        for (var trial = 0; trial < Trials; trial++)
        {
            var instruction = OnRegisters(original, (byte)(Next(ref state) >> 20));
            if (!TryEmit(ref instruction, memoryOperand)) return FlagLiveness.Status | Result;
            native = interpreted = default;
            for (var register = 0; register < 4; register++) native.Registers[register] = interpreted.Registers[register] = Operand(ref state);
            var flags = (uint)Next(ref state) & LazyFlags.All;

            // A division must not fault: a dividend without upper half, and a divisor.
            if (original.Mnemonic is Mnemonic.Div or Mnemonic.Idiv)
            {
                native.Registers[Gpr.Rdx] = interpreted.Registers[Gpr.Rdx] = 0;
                native.Registers[Gpr.Rax] = interpreted.Registers[Gpr.Rax] &= 0x3f;
                native.Registers[Gpr.Rcx] = interpreted.Registers[Gpr.Rcx] |= 1;
                native.Registers[Gpr.Rcx] = interpreted.Registers[Gpr.Rcx] &= 0x7f;
            }

            thunks.Enter(&native, memory.Executable(memory.Next), 1, NativeThunks.PackFlags(flags));
            LazyFlags.SetBits(&interpreted, flags);
            var op = builder.BuildSingle(instruction);
            ((Handler)op->Handler)(&interpreted, op, null, 0);

            var wrong = LazyFlags.Status(&native) ^ LazyFlags.Status(&interpreted);
            differing |= Bits(wrong);

            // An operand in the frame keeps its upper bytes where a register would lose them.
            var (stored, size) = memoryOperand < 0 ? (-1, 8) : (original.OpCount == 1 ? Gpr.Rcx : Stored[memoryOperand], original.MemorySize.GetSize());
            for (var register = 0; register < 4; register++)
            {
                var bits = native.Registers[register] ^ interpreted.Registers[register];
                if (register == stored && size < 8) bits &= (1UL << (8 * size)) - 1;
                if (bits != 0) differing |= Result;
            }
        }

        return differing;
    }

    /// <summary>Writes it as host code, with an operand in the frame where the original has one in memory, and decodes it anew as what the interpreter gets.</summary>
    private bool TryEmit(ref Instruction instruction, int memoryOperand)
    {
        emitter.Begin(memory.Next);
        if (!emitter.TryEncode(instruction)) return false;
        var decoder = Decoder.Create(64, new ByteArrayCodeReader(new ReadOnlySpan<byte>(memory.Next, (int)(emitter.At - memory.Next)).ToArray()));
        var host = instruction;
        decoder.Decode(out instruction);
        if (memoryOperand >= 0)
        {
            var register = NativeInstructions.Number(host.GetOpRegister(memoryOperand));
            UnitTranslator.SetFrameOperand(ref host, memoryOperand, NativeFrame.Borrowed);
            emitter.Begin(memory.Next);
            emitter.StoreFrame(register, NativeFrame.Borrowed);
            if (!emitter.TryEncode(host)) return false;
            emitter.LoadFrame(register, NativeFrame.Borrowed);
        }

        emitter.StoreFrameImmediate(NativeFrame.Rip, 0);
        emitter.StoreFrameImmediate(NativeFrame.Exit, (int)NativeExit.Budget);
        emitter.Jump(thunks.Leave);
        return true;
    }

    /// <summary>The same kind of instruction on the first registers, in the place of whatever operands it has.</summary>
    private static Instruction OnRegisters(in Instruction original, byte immediate)
    {
        var instruction = original;
        instruction.HasLockPrefix = instruction.HasRepPrefix = instruction.HasRepnePrefix = false;
        instruction.SegmentPrefix = Register.None;
        for (var i = 0; i < original.OpCount; i++)
        {
            var kind = original.GetOpKind(i);
            if (kind is OpKind.Immediate8 or OpKind.Immediate8to16 or OpKind.Immediate8to32 or OpKind.Immediate8to64)
            {
                if (original.Code.ToOpCode().GetOpKind(i) != OpCodeOperandKind.imm8_const_1)
                    instruction.SetImmediate(i, kind == OpKind.Immediate8 ? immediate : (long)(sbyte)immediate);
                continue;
            }

            if (kind is not (OpKind.Register or OpKind.Memory)) continue;

            // CL as a count is part of the code.
            if (i > 0 && kind == OpKind.Register && original.GetOpRegister(i) == Register.CL && i == original.OpCount - 1) continue;
            var size = kind == OpKind.Memory ? original.MemorySize.GetSize() : original.GetOpRegister(i).GetSize();
            var full = Register.RAX + (original.OpCount == 1 ? Gpr.Rcx : Stored[i]);
            if (kind == OpKind.Memory)
            {
                if (i == 0) instruction.Op0Kind = OpKind.Register;
                else if (i == 1) instruction.Op1Kind = OpKind.Register;
                else instruction.Op2Kind = OpKind.Register;
                instruction.MemoryBase = instruction.MemoryIndex = Register.None;
            }

            instruction.SetOpRegister(i, size switch
            {
                8 => full,
                4 => full - Register.RAX + Register.EAX,
                2 => full - Register.RAX + Register.AX,
                _ => full - Register.RAX + Register.AL,
            });
        }

        return instruction;
    }

    /// <summary>Small ones, 0, and any.</summary>
    private static ulong Operand(ref ulong state)
    {
        var value = Next(ref state);
        return (value >> 60) switch
        {
            0 or 1 => 0,
            2 or 3 => value & 0xff,
            4 or 5 => value & 0x8000_0000_8000_8080,
            6 => value | 0xffff_ffff_0000_0000,
            7 => value & 0xffff_ffff,
            _ => value,
        };
    }

    // A fixed sequence (Marsaglia's xorshift64): nothing of a guest's outcome may depend on it, and it is the same in every process.
    private static ulong Next(ref ulong state)
    {
        state ^= state << 13;
        state ^= state >> 7;
        return state ^= state << 17;
    }

    private static RflagsBits Bits(uint status)
    {
        var bits = RflagsBits.None;
        if ((status & LazyFlags.Carry) != 0) bits |= RflagsBits.CF;
        if ((status & LazyFlags.Parity) != 0) bits |= RflagsBits.PF;
        if ((status & LazyFlags.Adjust) != 0) bits |= RflagsBits.AF;
        if ((status & LazyFlags.Zero) != 0) bits |= RflagsBits.ZF;
        if ((status & LazyFlags.Sign) != 0) bits |= RflagsBits.SF;
        if ((status & LazyFlags.Overflow) != 0) bits |= RflagsBits.OF;
        return bits;
    }
}
