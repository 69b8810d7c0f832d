using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>A machine of one CPU with pages for code, data and a stack, by any of the engines; exceptions are noted and answered as the test says.</summary>
internal sealed class LoneCpu : IDisposable
{
    public const PagePermissions ReadWrite = PagePermissions.Read | PagePermissions.Write, ReadExecute = PagePermissions.Read | PagePermissions.Execute, All = ReadWrite | PagePermissions.Execute;

    public static readonly GuestAddress Code = new(0x40_0000), Data = new(0x60_0000);

    private static readonly GuestAddress Stack = new(0x70_0000);

    private long _limit;

    public LoneCpu(ExecutionEngine engine, PagePermissions code = ReadExecute, FetchModel? fetch = null, long translationBytesMax = CodeRegion.SlotBytes)
    {
        Machine = new(new() { Cpus = 1, Engine = engine, Fetch = fetch ?? FetchModel.Ideal, TranslationBytesMax = translationBytesMax });
        Machine.Memory.Map(Code, 4 * GuestMemory.PageBytes, code);
        Machine.Memory.Map(Data, 2 * GuestMemory.PageBytes, ReadWrite);
        Machine.Memory.Map(Stack, GuestMemory.PageBytes, ReadWrite);
        for (var vector = TrapVector.DivideError; vector <= TrapVector.PageFault; vector++) Machine.SetTrapHandler(vector, Answer);
    }

    /// <summary>The engines of this host, as cases of a theory.</summary>
    public static TheoryData<ExecutionEngine> Engines => [.. Tests.Engines.Here];

    public SmpMachine Machine { get; }

    public Cpu Cpu => Machine.Cpus[0];

    /// <summary>Exceptions that were taken: vector, address of the instruction (behind it for #BP and #DB), error code, address whose access faulted.</summary>
    public List<(TrapVector Vector, ulong Rip, uint ErrorCode, ulong Address)> Traps { get; } = [];

    /// <summary>What an exception is answered with; false stops the machine.</summary>
    public Func<TrapFrame, bool> OnTrap { get; set; } = _ => false;

    public LoneCpu Load(GuestAddress address, Action<Assembler> write)
    {
        Machine.Memory.Load(address, TestMachine.Assemble(address.Value, write));
        return this;
    }

    public LoneCpu Start(GuestAddress rip)
    {
        Cpu.StartGuest(rip, Stack + GuestMemory.PageBytes - 64);
        return this;
    }

    /// <summary>Runs for so many cycles, one an instruction, or to HLT or an exception that nobody answers.</summary>
    public MachineStop Run(long cycles = 10_000_000)
    {
        _limit = Math.Max(_limit, Machine.ClockCycles) + cycles;
        return Machine.Run(clockLimitCycles: _limit);
    }

    public void Dispose() => Machine.Dispose();

    private IEnumerable<KernelStep> Answer(Cpu cpu, TrapFrame frame)
    {
        Traps.Add((frame.Vector, frame.Rip.Value, frame.ErrorCode, frame.FaultAddress.Value));
        frame.Consumed = OnTrap(frame);
        yield break;
    }
}
