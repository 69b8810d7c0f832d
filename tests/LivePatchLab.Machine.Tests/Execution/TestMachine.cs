using System.Runtime.InteropServices;
using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>An interpreter with memory and CPUs and nothing else of a machine.</summary>
internal sealed unsafe class TestMachine : IDisposable
{
    public static readonly GuestAddress CodeStart = new(0x40_0000);
    public static readonly GuestAddress DataStart = new(0x60_0000);
    public static readonly GuestAddress StackEnd = new(0x80_0000);
    public const int CodeBytes = 0x1_0000, DataBytes = 0x4000, StackBytes = 0x4000;

    private readonly CpuState* _cpus;

    public TestMachine(int cpus = 1)
    {
        Code = new TestCode(Memory);
        Interpreter = new Interpreter(Memory, Code);
        Code.Interpreter = Interpreter;
        Memory.Map(CodeStart, CodeBytes, PagePermissions.Read | PagePermissions.Execute);
        Memory.Map(DataStart, DataBytes, PagePermissions.Read | PagePermissions.Write);
        Memory.Map(StackEnd - StackBytes, StackBytes, PagePermissions.Read | PagePermissions.Write);
        _cpus = (CpuState*)NativeMemory.AllocZeroed((nuint)cpus, (nuint)sizeof(CpuState));
        for (var i = 0; i < cpus; i++)
        {
            Interpreter.Attach(&_cpus[i], i);
            _cpus[i].Registers[Gpr.Rsp] = StackEnd.Value - 64;
            _cpus[i].Rip = CodeStart.Value;
        }
    }

    public GuestMemory Memory { get; } = new();

    public TestCode Code { get; }

    public Interpreter Interpreter { get; }

    public CpuState* Cpu => &_cpus[0];

    public CpuState* CpuAt(int index) => &_cpus[index];

    public static byte[] Assemble(ulong rip, Action<Assembler> write) => InstructionBytes.Assemble(rip, write);

    public byte[] Load(Action<Assembler> write) => Load(CodeStart, write);

    public byte[] Load(GuestAddress address, Action<Assembler> write)
    {
        var bytes = Assemble(address.Value, write);
        Code.Poke(address, bytes);
        return bytes;
    }

    /// <summary>Runs, over pauses of string instructions, until <paramref name="instructions"/> are retired or something else ends it.</summary>
    public long Run(long instructions, int cpu = 0)
    {
        long retired = 0;
        do retired += Interpreter.Run(&_cpus[cpu], instructions - retired);
        while (_cpus[cpu].Exit == ExecutionExit.Repeating);
        return retired;
    }

    /// <summary>Everything that a program can see: registers, flags, RIP, data and stack.</summary>
    public string State(int cpu = 0)
    {
        var state = &_cpus[cpu];
        var registers = string.Join(' ', Enumerable.Range(0, 16).Select(i => $"{state->Registers[i]:x}"));
        var hash = new HashCode();
        hash.AddBytes(Memory.Read(DataStart, DataBytes));
        hash.AddBytes(Memory.Read(StackEnd - StackBytes, StackBytes));
        return $"rip {state->Rip:x} flags {Interpreter.ReadFlags(state):x} registers {registers} memory {hash.ToHashCode():x}";
    }

    public void Dispose()
    {
        Interpreter.Dispose();
        NativeMemory.Free(_cpus);
        Memory.Dispose();
    }
}
