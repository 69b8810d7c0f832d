using System.Buffers.Binary;
using Iced.Intel;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Patching.Tests;

/// <summary>CPUs that go through one site over and over while CPU 0 changes it: the old instruction leads to one counter, the new to another.</summary>
internal sealed class PeerMachine : IDisposable
{
    public const int Passes = 300, Executors = 2;

    private static readonly GuestAddress Code = new(0x40_0000), Data = new(0x60_0000), Stacks = new(0x80_0000);

    /// <summary>Before and behind the site, so that the displacements differ in every byte.</summary>
    public static readonly GuestAddress OldTarget = Code + 0x1_2480, NewTarget = Code + 0x200, Slot = Data + 0x100;

    private readonly bool _isUser;

    public PeerMachine(FetchModel fetch, ulong seed, int siteOffset, byte[]? code = null, bool isUser = false, Action<Assembler>? beforeSite = null)
    {
        _isUser = isUser;
        Machine = new(new MachineOptions { Cpus = Executors + 1, Fetch = fetch, Choices = new SeededChoices(new(seed)), QuantumCyclesMax = 20 });
        Machine.Memory.Map(Code, 0x2_0000, PagePermissions.Read | PagePermissions.Execute);
        Machine.Memory.Map(Data, 0x1000, PagePermissions.Read | PagePermissions.Write);
        Machine.Memory.Map(Stacks, 0x1_0000, PagePermissions.Read | PagePermissions.Write);
        Kernel = new(Machine);
        KernelTasks.In(Kernel);
        Site = Code + 0x800 + siteOffset;
        var old = code ?? Jump(0xe8, Site, OldTarget);
        Machine.Memory.Load(Site, old);
        Machine.Memory.Load(Site + old.Length, [0xc3]);
        Load(OldTarget, a => Count(a, 0));
        Load(NewTarget, a => Count(a, 1));
        Machine.Memory.LoadUInt64(Slot, OldTarget.Value);
        Load(Code, a =>
        {
            var again = a.CreateLabel();
            a.mov(ebx, Passes);
            a.Label(ref again);
            beforeSite?.Invoke(a);
            a.call(Site.Value);
            a.dec(ebx);
            a.jnz(again);
            a.mov(eax, GuestGate.Exit);
            a.syscall();
        });
    }

    public SmpMachine Machine { get; }

    public LinuxKernel Kernel { get; }

    public GuestAddress Site { get; }

    public byte[] OldCall => Jump(0xe8, Site, OldTarget);

    public byte[] NewCall => Jump(0xe8, Site, NewTarget);

    public ulong OldCount => Machine.Memory.ReadUInt64(Data);

    public ulong NewCount => Machine.Memory.ReadUInt64(Data + 8);

    public ulong Total => OldCount + NewCount;

    /// <summary>Starts the executors, and then the patcher among them; runs until all are through, or something is seen.</summary>
    public PeerOutcome Patch(IPatchProtocol protocol, params PatchSite[] sites)
    {
        for (var i = 1; i <= Executors; i++) Machine.Cpus[i].StartGuest(Code, Stacks + (0x1000 * (long)i) - 8, _isUser);
        return Apply(protocol, sites);
    }

    /// <summary>Applies a protocol with nobody running.</summary>
    public PeerOutcome Apply(IPatchProtocol protocol, params PatchSite[] sites)
    {
        var patcher = protocol.Attach(Kernel);
        var context = new PatchContext(Kernel, Machine.Cpus[0]);
        using var watch = new SiteWatch(Machine, sites);
        var promisesNew = protocol.PromisesUnder(Machine.Fetch).HasFlag(Invariants.NewAfterReturn);
        IEnumerable<KernelStep> Task()
        {
            yield return new Delay(300);
            yield return context.TextMutex.Acquire();
            yield return KernelStep.Call(patcher.Apply(context, sites));
            yield return context.TextMutex.Release();
        }

        var task = Machine.Cpus[0].Start(protocol.Name, Task());
        var stop = Machine.Run(task, clockLimitCycles: 2_000_000);
        if (stop == MachineStop.Completed)
        {
            watch.IsComplete = promisesNew && context.Failure is null;
            stop = Machine.Run(clockLimitCycles: 2_000_000);
        }

        return new(stop, watch.Violation, context.Failure, Machine.Fault?.ToString(), watch.GuardFetches, watch.Int3Fetches, watch.NewFetches);
    }

    public void Dispose() => Machine.Dispose();

    /// <summary>An instruction of five bytes that ends in a displacement.</summary>
    public static byte[] Jump(byte opcode, GuestAddress from, GuestAddress to)
    {
        var code = new byte[5];
        code[0] = opcode;
        BinaryPrimitives.WriteInt32LittleEndian(code.AsSpan(1), checked((int)(to - (from + 5))));
        return code;
    }

    public static byte[] Word(GuestAddress value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value.Value);
        return bytes;
    }

    public void Load(GuestAddress at, Action<Assembler> write)
    {
        var assembler = new Assembler(64);
        write(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), at.Value);
        Machine.Memory.Load(at, stream.ToArray());
    }

    private static void Count(Assembler a, int word)
    {
        a.@lock.inc(__qword_ptr[Data.Value + (8 * (ulong)word)]);
        a.ret();
    }
}

/// <summary>What became of one patch.</summary>
internal sealed record PeerOutcome(MachineStop Stop, Violation? Violation, PatchFailure? Failure, string? Fault, long GuardFetches, long Int3Fetches, long NewFetches)
{
    public bool IsCaught => Violation is not null || Stop != MachineStop.Idle;
}
