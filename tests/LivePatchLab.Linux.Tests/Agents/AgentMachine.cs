using Iced.Intel;
using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Linux.Tests;

/// <summary>A machine of a few CPUs with room for code, data and stacks, and a kernel on it.</summary>
internal sealed class AgentMachine : IDisposable
{
    public static readonly GuestAddress Code = new(0x40_0000), Data = new(0x60_0000);

    private static readonly GuestAddress Stacks = new(0x80_0000);
    private const int StackBytes = 0x1000;
    private int _stacks;

    public AgentMachine(int cpus = 2, FetchModel? fetch = null, ulong seed = 1, int quantum = 20)
    {
        Machine = new(new MachineOptions { Cpus = cpus, Fetch = fetch ?? FetchModel.SdmWorst, Choices = new SeededChoices(new(seed)), QuantumCyclesMax = quantum });
        Machine.Memory.Map(Code, 0x1000, PagePermissions.Read | PagePermissions.Execute);
        Machine.Memory.Map(Data, 0x1000, PagePermissions.Read | PagePermissions.Write);
        Machine.Memory.Map(Stacks, 0x1_0000, PagePermissions.Read | PagePermissions.Write);
        Kernel = new(Machine);
        Tasks = KernelTasks.In(Kernel);
        Rcu = Rcu.In(Kernel);
    }

    public SmpMachine Machine { get; }

    public LinuxKernel Kernel { get; }

    public KernelTasks Tasks { get; }

    public Rcu Rcu { get; }

    public Cpu Cpu(int index) => Machine.Cpus[index];

    /// <summary>Lays code down and returns where it begins and what it is.</summary>
    public byte[] Load(int offset, Action<Assembler> write)
    {
        var assembler = new Assembler(64);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), (Code + offset).Value);
        Machine.Memory.Load(Code + offset, stream.ToArray());
        return stream.ToArray();
    }

    public GuestTask Spawn(int cpu, string name, int offset) => Tasks.Spawn(Cpu(cpu), name, Code + offset, Stack());

    public void StartGuest(int cpu, int offset) => Cpu(cpu).StartGuest(Code + offset, Stack());

    public ulong Word(int index) => Machine.Memory.ReadUInt64(Data + (8 * index));

    /// <summary>Runs a routine to its end on CPU 0.</summary>
    public MachineStop Do(IEnumerable<KernelStep> steps) => Machine.Run(Cpu(0).Start("test", steps), clockLimitCycles: 5_000_000);

    public MachineStop RunOut() => Machine.Run(clockLimitCycles: 5_000_000);

    public void Dispose() => Machine.Dispose();

    /// <summary>Calls one of the kernel's functions.</summary>
    public static void Call(Assembler a, int number)
    {
        a.mov(eax, number);
        a.syscall();
    }

    /// <summary>A body over and over: counts down in rbx, and its passes up in a word of data; then exits.</summary>
    public static void Loop(Assembler a, int passes, int word, Action<Assembler> body, bool yields = false)
    {
        var again = a.CreateLabel();
        a.mov(ebx, passes);
        a.Label(ref again);
        body(a);
        a.inc(__qword_ptr[Data.Value + (8 * (ulong)word)]);
        if (yields) Call(a, GuestGate.SchedYield);
        a.dec(ebx);
        a.jnz(again);
        Call(a, GuestGate.Exit);
    }

    private GuestAddress Stack() => Stacks + (StackBytes * (long)++_stacks);
}
