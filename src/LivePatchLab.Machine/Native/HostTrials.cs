using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>Where the host's outcome of a code is not the interpreter's.</summary>
/// <param name="Zeroed">Flags that are 0 here and on the host not always: they can be put right behind it.</param>
/// <param name="Flags">Other flags that come out otherwise.</param>
/// <param name="IsUnfit">True where registers do too, or the host refuses the code: the interpreter does it.</param>
internal readonly record struct HostDifference(RflagsBits Zeroed, RflagsBits Flags, bool IsUnfit)
{
    public static HostDifference Unfit { get; } = new(RflagsBits.None, RflagsBits.None, IsUnfit: true);
}

/// <summary>
/// What the manuals leave undefined comes out one way in the interpreter and may come out another on the host, and processors differ among
/// each other. So each code that leaves something undefined is tried on the host, once a process, beside the interpreter's own handler: on registers and in memory, and with
/// every immediate of a byte.
/// </summary>
internal sealed unsafe class HostTrials(CodeMemory memory, NativeEmitter emitter, NativeThunks thunks, NativeHost host)
{
    private const int Rounds = 256;

    // The registers that stand for the operands; that of a single one is RCX, as RAX is implied then.
    private static readonly int[] Stored = [Gpr.Rax, Gpr.Rcx, Gpr.Rbx];

    private static readonly Lock Trying = new();
    private static readonly Dictionary<(Code Code, NativeHost Host), HostDifference> Known = [];

    /// <summary>What is known of a code of which this is an instance.</summary>
    public HostDifference Of(in Instruction instruction)
    {
        lock (Trying)
        {
            if (Known.TryGetValue((instruction.Code, host), out var known)) return known;
            return Known[(instruction.Code, host)] = !host.Has(instruction.Code) ? HostDifference.Unfit : LeftUndefined.ByCode(instruction) ? Try(instruction) : default;
        }
    }

    /// <summary>Tries a code, whatever it may leave undefined.</summary>
    public HostDifference Try(in Instruction original)
    {
        using var arena = new OpArena();
        var builder = new BlockBuilder(arena);
        var state = 0x9e3779b97f4a7c15UL;
        var difference = default(HostDifference);
        for (var memoryOperand = -1; memoryOperand < original.OpCount; memoryOperand++)
        {
            var onRegisters = OnRegisters(original);
            if (memoryOperand >= 0 && !IsTranslatedInMemory(onRegisters, memoryOperand)) continue;
            if (!TryEmit(ref onRegisters, memoryOperand, out var shape)) return HostDifference.Unfit;
            for (var round = 0; round < Rounds; round++)
            {
                var instruction = onRegisters;
                if (shape.ImmediateOperand >= 0)
                {
                    LeftUndefined.SetByte(ref instruction, shape.ImmediateOperand, (byte)round);
                    if (!TryEmit(ref instruction, memoryOperand, out shape)) return HostDifference.Unfit;
                }

                difference = With(difference, instruction, builder, ref state, shape);
                if (difference.IsUnfit) return difference;
            }
        }

        return difference;
    }

    /// <summary>One round: what was known, and what it shows.</summary>
    private HostDifference With(HostDifference known, in Instruction instruction, BlockBuilder builder, ref ulong state, Shape shape)
    {
        CpuState native = default, interpreted = default;
        for (var register = 0; register < 4; register++) native.Registers[register] = Operand(ref state);
        if (instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv)
        {
            // A division must not fault: a dividend without upper half, and a divisor.
            native.Registers[Gpr.Rdx] = 0;
            native.Registers[Gpr.Rax] &= 0x3f;
            native.Registers[Gpr.Rcx] = (native.Registers[Gpr.Rcx] | 1) & 0x7f;
        }

        for (var register = 0; register < 4; register++) interpreted.Registers[register] = native.Registers[register];
        var (count, flags) = (native.Registers[Gpr.Rcx], (uint)Next(ref state) & LazyFlags.All);
        thunks.Enter(&native, memory.Executable(memory.Next), 1, NativeThunks.PackFlags(flags));

        // The host has refused it though it says that it has it all.
        if (native.NativeExit != (ulong)NativeExit.Budget) return HostDifference.Unfit;
        LazyFlags.SetBits(&interpreted, flags);
        var op = builder.BuildSingle(instruction);
        ((Handler)op->Handler)(&interpreted, op, null, 0);

        // An operand in the frame keeps its upper bytes where a register would lose them.
        for (var register = 0; register < 4; register++)
        {
            var bits = native.Registers[register] ^ interpreted.Registers[register];
            if (register == shape.StoredIn && shape.StoredBytes < 8) bits &= (1UL << (8 * shape.StoredBytes)) - 1;
            if (bits != 0) return HostDifference.Unfit;
        }

        var wrong = Bits(LazyFlags.Status(&native) ^ LazyFlags.Status(&interpreted));
        var mayDiffer = InstructionTable.Of(instruction).Zeroed(instruction).With(count);
        var zeroed = host.RepairsAllUndefinedFlags ? mayDiffer : wrong & mayDiffer;
        return new(known.Zeroed | zeroed, known.Flags | (wrong & ~zeroed), IsUnfit: false);
    }

    /// <summary>What was emitted: which operand is an immediate of a byte, and which register goes through memory, with how many bytes; -1 for none.</summary>
    private readonly record struct Shape(int ImmediateOperand, int StoredIn, int StoredBytes);

    /// <summary>Writes it as host code, with an operand in the frame where one is to be in memory, and decodes it anew as what the interpreter gets.</summary>
    private bool TryEmit(ref Instruction instruction, int memoryOperand, out Shape shape)
    {
        shape = new(-1, -1, 8);
        emitter.Begin(memory.Next);
        if (!emitter.TryEncode(instruction)) return false;
        var decoder = Decoder.Create(64, new ByteArrayCodeReader(new ReadOnlySpan<byte>(memory.Next, (int)(emitter.At - memory.Next)).ToArray()));
        var native = instruction;
        decoder.Decode(out instruction);
        for (var i = 0; i < instruction.OpCount; i++)
            if (LeftUndefined.IsByte(instruction.GetOpKind(i)) && native.Code.ToOpCode().GetOpKind(i) != OpCodeOperandKind.imm8_const_1) shape = shape with { ImmediateOperand = i };
        var undefined = LeftUndefined.By(native);
        emitter.Begin(memory.Next);
        if (undefined.IsConditional) FlagRepair.KeepCount(emitter);
        var register = -1;
        if (memoryOperand >= 0)
        {
            register = NativeInstructions.Number(native.GetOpRegister(memoryOperand));
            shape = shape with { StoredIn = register, StoredBytes = native.GetOpRegister(memoryOperand).GetSize() };
            UnitTranslator.SetFrameOperand(ref native, memoryOperand, NativeFrame.Borrowed);
            emitter.StoreFrame(register, NativeFrame.Borrowed);
        }

        if (!emitter.TryEncode(native)) return false;
        if (register >= 0) emitter.LoadFrame(register, NativeFrame.Borrowed);
        if (host.DiffersInUndefinedFlags) LeftUndefined.WriteContrary(emitter, instruction);
        emitter.StoreFrameImmediate(NativeFrame.Rip, 0);
        emitter.StoreFrameImmediate(NativeFrame.Exit, (int)NativeExit.Budget);
        emitter.Jump(thunks.Leave);
        return true;
    }

    /// <summary>Bit strings are not: they reach far beyond their operand, and here that would be the host's own memory.</summary>
    private static bool IsTranslatedInMemory(in Instruction onRegisters, int operand)
    {
        if (onRegisters.Code.ToOpCode().GetOpKind(operand) is not (OpCodeOperandKind.r8_or_mem or OpCodeOperandKind.r16_or_mem or OpCodeOperandKind.r32_or_mem or OpCodeOperandKind.r64_or_mem)) return false;
        var inMemory = onRegisters;
        UnitTranslator.SetFrameOperand(ref inMemory, operand, NativeFrame.Borrowed);
        return NativeInstructions.IsTranslated(inMemory);
    }

    /// <summary>The same code on the first registers, in the place of whatever operands it has.</summary>
    private static Instruction OnRegisters(in Instruction original)
    {
        var instruction = original;
        instruction.HasLockPrefix = instruction.HasRepPrefix = instruction.HasRepnePrefix = false;
        instruction.SegmentPrefix = Register.None;
        for (var i = 0; i < original.OpCount; i++)
        {
            var kind = original.GetOpKind(i);
            if (kind is not (OpKind.Register or OpKind.Memory)) continue;

            // A register that the code implies, such as CL as a count, is part of it.
            if (original.Code.ToOpCode().GetOpKind(i) is OpCodeOperandKind.al or OpCodeOperandKind.cl or OpCodeOperandKind.ax or OpCodeOperandKind.eax or OpCodeOperandKind.rax) continue;
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
