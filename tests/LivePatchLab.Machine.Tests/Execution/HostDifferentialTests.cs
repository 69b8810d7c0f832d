using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// The processor that the tests run on is the oracle: random instructions, alone and in sequences, must leave the same registers,
/// flags and memory there and here. Flags that the SDM leaves undefined are not compared.
/// </summary>
public unsafe class HostDifferentialTests
{
    private const int CasesPerSeed = 1500;

    private const uint StatusFlags = 0x8d5;

    public static TheoryData<ulong> Seeds => [.. Enumerable.Range(1, 20).Select(i => (ulong)i)];

    [HostTheory]
    [MemberData(nameof(Seeds))]
    public void Random_instructions_do_what_the_host_processor_does(ulong seed)
    {
        using var host = new HostProcessor();
        using var machine = new TestMachine();
        machine.Memory.Map(new GuestAddress(host.DataAddress), HostProcessor.DataBytes, PagePermissions.Read | PagePermissions.Write);
        var draw = new Draw(seed);
        var code = new RandomCode(draw, host.DataAddress, HostProcessor.DataBytes);
        for (var number = 0; number < CasesPerSeed; number++)
        {
            var difference = Compare(host, machine, draw, code);
            difference.ShouldBeNull($"seed {seed}, case {number}: {difference}");
        }
    }

    /// <summary>Null, or what came out differently.</summary>
    private static string? Compare(HostProcessor host, TestMachine machine, Draw draw, RandomCode code)
    {
        code.Begin();
        var undefined = RflagsBits.None;
        var length = draw.OneIn(2) ? 1 : 1 + draw.Below(6);
        var text = new List<string>();
        var bytes = new List<byte>();
        for (var i = 0; i < length; i++)
        {
            byte[] next;
            Instruction instruction;
            do next = code.Next(out instruction);
            while ((instruction.RflagsRead & undefined) != 0 || IsUnpredictable(instruction, i));
            undefined = (undefined & ~instruction.RflagsModified) | UndefinedFlags(instruction, undefined);
            bytes.AddRange(next);
            text.Add(instruction.ToString());
        }

        if (draw.OneIn(3))
        {
            // A branch over MOV R8D, imm32: comparison and branch are done in one where they can be.
            var condition = draw.Below(16);
            var reads = new Instruction { Code = Code.Jo_rel8_64 + (3 * condition) };
            if ((reads.RflagsRead & undefined) == 0)
            {
                bytes.AddRange([(byte)(0x70 + condition), 6, 0x41, 0xb8, 0x78, 0x56, 0x34, 0x12]);
                text.Add($"j{condition:x} over mov r8d");
            }
        }

        var data = draw.Bytes(64);
        for (var i = 0; i < HostProcessor.DataBytes; i++) host.Data[i] = (byte)(data[i & 63] + (i >> 6));
        code.Registers.CopyTo(host.Registers);
        host.Flags = (uint)draw.Bits64();

        var cpu = machine.Cpu;
        for (var i = 0; i < 16; i++) if (i != Gpr.Rsp) cpu->Registers[i] = host.Registers[i];
        Interpreter.WriteFlags(cpu, host.Flags);
        machine.Memory.Load(new GuestAddress(host.DataAddress), host.Data);
        var start = TestMachine.CodeStart + draw.Below(4096);
        machine.Code.Poke(start, [.. bytes, 0xf4]);
        if (draw.OneIn(4)) machine.Code.MakeDirty(start);
        cpu->Rip = start.Value;
        if (draw.OneIn(2)) machine.Run(100);
        else while (machine.Run(1) == 1 && cpu->Exit == ExecutionExit.Budget) { }
        machine.Code.MakeClean(start);
        var program = $"{Convert.ToHexString([.. bytes])} {string.Join("; ", text)}";
        if (cpu->Exit == ExecutionExit.Trap && cpu->TrapVector == Traps.DivideError) return null;
        if (cpu->Exit != ExecutionExit.Halt) return $"{program}: {cpu->Exit} {cpu->TrapVector} at {cpu->Rip - start.Value}";

        var before = $"registers {string.Join(' ', host.Registers.ToArray().Select(r => r.ToString("x")))} flags {host.Flags:x}";
        host.Run(bytes.ToArray());
        for (var i = 0; i < 16; i++)
            if (i != Gpr.Rsp && cpu->Registers[i] != host.Registers[i]) return $"{program}: register {i} is {cpu->Registers[i]:x}, not {host.Registers[i]:x}; {before}";
        var compared = StatusFlags & ~InRflags(undefined);
        var flags = (uint)Interpreter.ReadFlags(cpu);
        if (((flags ^ host.Flags) & compared) != 0) return $"{program}: flags are {flags & compared:x}, not {host.Flags & compared:x}; {before}";
        var memory = machine.Memory.Read(new GuestAddress(host.DataAddress), HostProcessor.DataBytes);
        var at = host.Data.CommonPrefixLength(memory);
        return at == memory.Length ? null : $"{program}: memory differs at {at:x}: {memory[at]:x}, not {host.Data[at]:x}; {before}";
    }

    /// <summary>Results, not only flags, that the SDM leaves undefined, and memory operands behind an instruction that may have moved them.</summary>
    private static bool IsUnpredictable(in Instruction instruction, int position)
    {
        if (position > 0 && HasMemory(instruction)) return true;
        return instruction.Mnemonic switch
        {
            Mnemonic.Bswap => instruction.Op0Register.IsGPR16(),
            Mnemonic.Shld or Mnemonic.Shrd => instruction.Op1Register.IsGPR16(),
            _ => false,
        };
    }

    private static bool HasMemory(in Instruction instruction)
    {
        for (var i = 0; i < instruction.OpCount; i++)
            if (instruction.GetOpKind(i) is OpKind.Memory or >= OpKind.MemorySegSI and <= OpKind.MemoryESRDI) return instruction.Mnemonic is not (Mnemonic.Lea or Mnemonic.Nop);
        return false;
    }

    private static RflagsBits UndefinedFlags(in Instruction instruction, RflagsBits before) => instruction.Mnemonic switch
    {
        // With a count that may be 0 an undefined flag stays undefined; with another, OF is undefined unless it is 1.
        Mnemonic.Shl or Mnemonic.Sal or Mnemonic.Shr or Mnemonic.Sar or Mnemonic.Shld or Mnemonic.Shrd
            => instruction.RflagsUndefined | before | RflagsBits.AF | RflagsBits.OF | (instruction.MemorySize.GetSize() < 4 ? RflagsBits.CF : 0),
        Mnemonic.Rol or Mnemonic.Ror or Mnemonic.Rcl or Mnemonic.Rcr => before | RflagsBits.OF,
        _ => instruction.RflagsUndefined,
    };

    private static uint InRflags(RflagsBits bits)
    {
        uint flags = 0;
        if ((bits & RflagsBits.CF) != 0) flags |= LazyFlags.Carry;
        if ((bits & RflagsBits.PF) != 0) flags |= LazyFlags.Parity;
        if ((bits & RflagsBits.AF) != 0) flags |= LazyFlags.Adjust;
        if ((bits & RflagsBits.ZF) != 0) flags |= LazyFlags.Zero;
        if ((bits & RflagsBits.SF) != 0) flags |= LazyFlags.Sign;
        if ((bits & RflagsBits.OF) != 0) flags |= LazyFlags.Overflow;
        return flags;
    }
}
