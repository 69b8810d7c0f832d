namespace LivePatchLab.Machine.Tests;

/// <summary>
/// A machine drawn from a seed, whose CPUs are started at random places with random registers in pages of random bytes and mixed
/// permissions, again and again. What a seed draws is always the same.
/// </summary>
internal sealed unsafe class RandomStarts : IDisposable
{
    private const int CyclesPerStart = 300;

    // The first of the pages may always be executed, those behind them always be read and written; the others are as it comes.
    private const int CodePages = 4, DataPages = 2;

    // Where pages lie: code, data, and the edges of the window and of its halves.
    private static readonly ulong[] Pages =
    [
        0x40_0000, 0x40_1000, 0x40_2000, 0x40_3000, 0x60_0000, 0x60_1000, 0, 0x7fff_f000,
        0xffff_ffff_8000_0000, 0xffff_ffff_8100_0000, 0xffff_ffff_8100_1000, 0xffff_ffff_ffff_f000,
    ];

    // Prefixes, escapes and the like, so that more of the bytes are instructions of the rarer kinds.
    private static readonly byte[] Frequent = [0x0f, 0x48, 0x4c, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x65, 0x64, 0xc7, 0xff, 0xc4, 0xe8, 0xeb, 0x74, 0xcc, 0xcf, 0x9d];

    private readonly Draw _draw;
    private readonly SmpMachine _machine;
    // What must be in the pages that no guest may write.
    private readonly Dictionary<ulong, byte[]> _readOnly = [];

    private readonly HashSet<ulong> _mapped = [];

    public RandomStarts(ulong seed, TestedEngine engine)
    {
        _draw = new(seed);
        _machine = new(new MachineOptions
        {
            Cpus = _draw.Of(1, 1, 2, 4),
            Fetch = _draw.Of(FetchModel.Ideal, FetchModel.Ideal, FetchModel.SdmWorst, FetchModel.SdmWorst with { AtomicChunkBytes = 8 }),
            Choices = new SeededChoices(new Seed(seed)),
            QuantumCyclesMax = _draw.Of(1, 10, 100),
            Engine = engine.Kind,
            Host = engine.Host,
        });
        foreach (var page in Pages) MapAtRandom(page);
        // All that there are, also those that have no name yet.
        for (var vector = TrapVector.DivideError; vector <= TrapVector.PageFault; vector++)
            if (!_draw.OneIn(40)) _machine.SetTrapHandler(vector, GoOn);
        if (_draw.OneIn(2)) _machine.SystemCall = cpu => cpu.Registers[0] = cpu.Registers[7];
    }

    /// <summary>Exceptions that nobody consumed.</summary>
    public int Faults { get; private set; }

    public long Instructions => _machine.Cpus.Sum(cpu => cpu.RetiredInstructions);

    public StateHash Hash => _machine.Hash();

    public SmpMachine Machine => _machine;

    /// <summary>Starts CPUs until so many have been started, and has them run a while or to their first fault.</summary>
    public void Run(int starts)
    {
        for (var done = 0; done < starts; done += _machine.Cpus.Count)
        {
            Begin();
            var until = _machine.ClockCycles + CyclesPerStart;
            while (_machine.Run(clockLimitCycles: until) == MachineStop.Fault)
            {
                Faults++;
                _machine.Cpus[_machine.Fault!.Cpu.Index].StopGuest();
            }

            foreach (var cpu in _machine.Cpus) cpu.StopGuest();
            if (_draw.OneIn(20)) RequireReadOnlyPages();
        }
    }

    /// <summary>Starts each CPU somewhere.</summary>
    public void Begin()
    {
        if (_draw.OneIn(40)) MapAtRandom(_draw.Of<ulong>(Pages));
        foreach (var cpu in _machine.Cpus)
        {
            Scramble(cpu);
            if (_draw.OneIn(8)) StoreCode(cpu);
        }
    }

    public void Dispose() => _machine.Dispose();

    private void MapAtRandom(ulong page)
    {
        var (start, bytes) = (new GuestAddress(page), Code());
        var permissions = Array.IndexOf(Pages, page) switch
        {
            < CodePages => (PagePermissions)_draw.Of(4, 5, 5, 7),
            < CodePages + DataPages => (PagePermissions)_draw.Of(3, 7),
            _ => (PagePermissions)_draw.Below(8),
        };
        _machine.Memory.Map(start, GuestMemory.PageBytes, permissions);

        // Loading is for bytes that no CPU has fetched; a page that was there before is stored to.
        if (_mapped.Add(page)) _machine.Memory.Load(start, bytes);
        else _machine.TryStoreCode(_machine.Cpus[0], start, bytes);
        if ((permissions & PagePermissions.Write) == 0) _readOnly[page] = bytes;
        else _readOnly.Remove(page);
    }

    /// <summary>Stores through an alias, as a patcher does: where lines become dirty, the CPUs fetch from them by the fetch model.</summary>
    private void StoreCode(Cpu cpu)
    {
        var (page, at) = (_draw.Of<ulong>(Pages), _draw.Below(GuestMemory.PageBytes - 16));
        var bytes = _draw.Bytes(1 + _draw.Below(16));
        if (!_machine.TryStoreCode(cpu, new(page + (ulong)at), bytes)) throw new InvalidOperationException($"{page:x} is mapped, and cannot be stored to");
        if (_readOnly.TryGetValue(page, out var kept)) bytes.CopyTo(kept, at);
    }

    private byte[] Code()
    {
        var bytes = _draw.Bytes(GuestMemory.PageBytes);
        for (var i = _draw.Below(2000); i > 0; i--) bytes[_draw.Below(bytes.Length)] = _draw.Of<byte>(Frequent);
        return bytes;
    }

    private void Scramble(Cpu cpu)
    {
        for (var i = 0; i < 16; i++) cpu.Registers[i] = _draw.OneIn(2) ? Somewhere() : _draw.Interesting();
        cpu.Rflags = _draw.Bits64();
        cpu.GsBase = new(_draw.OneIn(2) ? Somewhere() : 0);
        cpu.StartGuest(new(_draw.OneIn(10) ? Somewhere() : _draw.OneIn(50) ? _draw.Interesting() : Pages[_draw.Below(CodePages)] + (ulong)_draw.Below(GuestMemory.PageBytes)), new(_draw.OneIn(3) ? cpu.Registers[4] : Somewhere()), isUser: _draw.OneIn(2));
    }

    /// <summary>An address in one of the pages, often near its end.</summary>
    private ulong Somewhere() => SomePage() + (ulong)(_draw.OneIn(4) ? GuestMemory.PageBytes - _draw.Below(16) - 1 : _draw.Below(GuestMemory.PageBytes));

    /// <summary>So that a start is more than a few instructions: on behind a byte that does not execute, or back to where code is.</summary>
    private static IEnumerable<KernelStep> GoOn(Cpu cpu, TrapFrame frame)
    {
        var fetched = frame.Vector == TrapVector.PageFault && frame.FaultAddress - frame.Rip is >= 0 and < 15;
        if (fetched || !frame.Rip.IsInWindow) frame.Rip = new(Pages[0] + (((ulong)cpu.ClockCycles * 0x9e3779b1) % (CodePages * GuestMemory.PageBytes)));
        else if (frame.Vector != TrapVector.Breakpoint) frame.Rip += 1;
        frame.Consumed = true;
        yield break;
    }

    private ulong SomePage() => _draw.OneIn(3) ? _draw.Of<ulong>(Pages) : Pages[CodePages + _draw.Below(DataPages)];

    private void RequireReadOnlyPages()
    {
        foreach (var (page, bytes) in _readOnly)
            if (!new ReadOnlySpan<byte>(_machine.Memory.Origin + (long)page, bytes.Length).SequenceEqual(bytes)) throw new InvalidOperationException($"a guest has written to the page at {page:x}, which it may not");
    }
}
