using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>What the interpreter is to do next.</summary>
internal enum NativeStop
{
    /// <summary>Nothing: translated code goes on at RIP.</summary>
    None,

    /// <summary>All instructions are retired.</summary>
    Budget,

    /// <summary>The code at RIP cannot be translated, or not now: interpret a block of it.</summary>
    Block,

    /// <summary>The instruction at RIP may have several versions: interpret the one that the CPU is given.</summary>
    Dirty,

    /// <summary>The code at RIP is not hot yet: interpret for as long as <see cref="NativeEngine.IsResting"/> says.</summary>
    Cold,

    /// <summary>The code at RIP is hot: interpret what comes, note the path, and have it translated.</summary>
    Path,

    /// <summary>The instruction at RIP does what the host's page tables refuse: interpret it alone, with care.</summary>
    Care,
}

/// <summary>
/// Runs translated code for as long as there is some. This is the one seam between the engines: the interpreter asks
/// <see cref="Run"/>, which retires what it can and leaves a CPU as the interpreter would have; it then says what is left to the
/// interpreter, whose handlers do everything that is not plain.
/// </summary>
internal sealed unsafe partial class NativeEngine : IDisposable
{
    // What it takes to ask for translated code and be refused, in instructions.
    private const int RefusalInstructions = 32;

    // What is interpreted from one refusal to the next question, in instructions.
    private const int ShortestRest = 16, LongestRest = 512;

    // A budget below is not worth entering for.
    private const long LeastBudget = 12;

    private const int UntranslatableSlots = 4096;

    // Translated code tells what is left from less than nothing by its upper bits, and RSP may move by 1 with each instruction and touch nothing.
    private const long LongestStay = 1L << 31;

    // Units take it for granted that RSP is within 2^32 of 0, and pass that on.
    private const ulong StackReach = 1UL << 32;

    // An instruction that has faulted so often (a signal takes microseconds) is left to the interpreter.
    private const int FaultsBorne = 6;

    // Whose machine runs on the calling thread.
    [ThreadStatic]
    private static NativeEngine? _running;

    private readonly GuestMemory _memory;
    private readonly BlockCache _blocks;
    private readonly bool _isEager;
    private readonly Dictionary<ulong, int> _heat = [];
    private readonly Dictionary<ulong, int> _faults = [];
    private readonly long[] _exits = new long[Enum.GetValues<NativeExit>().Length + 1];
    private NativeCache? _cache;
    private GuestView? _view;
    private readonly ulong[] _path = new ulong[TraceBuilder.LongestTrace + 1];
    private int _pathLength;
    private long _wholeStays;
    private delegate* unmanaged[SuppressGCTransition]<CpuState*, nint, long, ulong, void> _enter;
    private long _leastBudget;
    private int _runs;
    private bool _hasBase;

    // Of instructions that cannot be translated, by their low bits; the last one found there wins.
    private ulong[] _untranslatable = [];

    private NativeStop _refusal;
    private long _rest;
    private long _restGiven = ShortestRest;
    private long _instructionsAtRefusal;

    /// <param name="memory">The machine's memory.</param>
    /// <param name="blocks">The interpreter's cache, which knows what is dirty.</param>
    /// <param name="isEager">True to translate everything at its first execution.</param>
    public NativeEngine(GuestMemory memory, BlockCache blocks, bool isEager)
    {
        _memory = memory;
        Origin = memory.Origin;
        _blocks = blocks;
        _isEager = isEager;
        _leastBudget = isEager ? 1 : LeastBudget;
        FaultSignals.Install();
    }

    public long Instructions { get; private set; }

    /// <summary>Time in translation by <see cref="Clock"/>; zero where there is none.</summary>
    public TimeSpan TranslationTime { get; private set; }

    /// <summary>A clock of the host's, for statistics: no outcome depends on it.</summary>
    public Func<TimeSpan>? Clock { get; init; }

    /// <summary>See <see cref="MachineOptions.TranslationBytesMax"/>.</summary>
    public long BytesMax { get; init; } = CodeRegion.SlotBytes;

    /// <summary>What is interpreted at an address before it is translated, in instructions: about what that takes. The first of all takes some times as much.</summary>
    public int HotInstructions { get; init; } = MachineOptions.HotInstructionsUsual;

    /// <summary>See <see cref="MachineOptions.Host"/>. It counts from the first translation on.</summary>
    public NativeHost Host { get; set; } = NativeHost.Own;

    public NativeCache? Cache => _cache;

    /// <summary>Host address of guest address 0, as the guest's code is run most.</summary>
    public byte* Origin { get; private set; }

    public IReadOnlyDictionary<string, long> Exits
    {
        get
        {
            var exits = new Dictionary<string, long>();
            for (var i = 0; i < _exits.Length; i++)
            {
                var count = _exits[i] + (i == (int)NativeExit.Budget ? _wholeStays : 0);
                if (count > 0) exits[i < _exits.Length - 1 ? ((NativeExit)i).ToString().ToLowerInvariant() : "unlinked"] = count;
            }

            return exits;
        }
    }

    /// <summary>False where so few instructions are interpreted faster than translated code is entered, and while none is asked for.</summary>
    public bool IsWorth(long budget) => budget >= _leastBudget && _rest <= 0;

    /// <summary>
    /// True while instructions are interpreted without a question, on whatever CPU: the last questions were refused. As long as they are, each rest is twice the one
    /// before, so code that is nowhere hot costs what it costs without a translator.
    /// </summary>
    public bool IsResting => _rest > 0;

    /// <summary>How many instructions are to be interpreted before the next question.</summary>
    public long Rest => _rest;

    /// <summary>So many of them have been.</summary>
    public void NoteInterpreted(long instructions) => _rest -= instructions;

    /// <summary>The machine begins a run on the calling thread, perhaps within that of another.</summary>
    /// <returns>Whose run it is within; for <see cref="EndRun"/>.</returns>
    public NativeEngine? BeginRun()
    {
        var outer = _running;
        _running = this;
        _runs++;
        _hasBase = false;
        return outer;
    }

    /// <summary>The outer machine, if any, no longer finds the thread as it left it.</summary>
    public void EndRun(NativeEngine? outer)
    {
        _runs--;
        _hasBase = false;
        _running = outer;
        if (outer is not null) outer._hasBase = false;
    }

    public void InvalidateLine(ulong line)
    {
        if (_cache is null) return;
        _cache.Invalidate(line);

        // Other bytes may be another instruction.
        var slots = _untranslatable.AsSpan((int)line & (UntranslatableSlots - 1), 64);
        for (var i = 0; i < slots.Length; i++)
            if (slots[i] == line + (ulong)i) slots[i] = 0;
    }

    /// <summary>The permissions of pages are not what they were.</summary>
    public void ChangePermissions(GuestAddress start, long length)
    {
        _view?.Protect(start, length);
        _cache?.NoteChange();
    }

    /// <summary>
    /// One stay in translated code, where RIP can be entered at once and that is worth it; false, with nothing done, where not. Afterwards RIP, registers and flags are the
    /// CPU's, and <see cref="HasRetiredAll"/> says whether that was all, as in nearly all turns of many CPUs it is; if not, <see cref="AfterStay"/> must follow.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryStay(CpuState* cpu, long budget)
    {
        if (!_hasBase || !IsWorth(budget)) return false;
        var code = _cache!.EntryOf(cpu->Rip, budget);
        if (code == 0 || !IsStackInReach(cpu)) return false;
        cpu->Current = null;
        Stay(cpu, code, budget);
        return true;
    }

    /// <summary>True when the last stay has taken all of the budget.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool HasRetiredAll(CpuState* cpu)
    {
        if ((cpu->Budget | (long)cpu->NativeExit) != (long)NativeExit.Budget) return false;
        _wholeStays++;
        return true;
    }

    /// <summary>
    /// Retires up to <paramref name="budget"/> instructions; <see cref="CpuState.Budget"/> says how many are left. RIP, registers and flags are the CPU's
    /// afterwards.
    /// </summary>
    public NativeStop Run(CpuState* cpu, long budget)
    {
        cpu->Budget = budget;
        if (!_hasBase && !IsAnythingHot(cpu->Rip)) return NativeStop.Cold;
        if (!_hasBase && !TryPrepare()) return NativeStop.Block;
        if (!IsStackInReach(cpu)) return NativeStop.Block;
        while (true)
        {
            var code = _cache!.EntryOf(cpu->Rip, cpu->Budget);
            if (code == 0)
            {
                if (Find(cpu->Rip, cpu->Budget) is not { } refusal) continue;
                return refusal;
            }

            Stay(cpu, code, cpu->Budget);
            if (HasRetiredAll(cpu)) return NativeStop.Budget;
            var stop = AfterStay(cpu);
            if (stop != NativeStop.None) return stop;
            if (cpu->Budget <= 0) return NativeStop.Budget;
        }
    }

    /// <summary><see cref="Run"/>, with what <see cref="CpuState.Budget"/> says is left.</summary>
    public NativeStop GoOn(CpuState* cpu) => cpu->Budget <= 0 ? NativeStop.Budget : Run(cpu, cpu->Budget);

    public void Dispose()
    {
        _cache?.Dispose();
        _view?.Dispose();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Stay(CpuState* cpu, nint code, long budget)
    {
        var stay = Math.Min(budget, LongestStay);
        _enter(cpu, code, stay, cpu->FlagKind == LazyFlags.Packed ? cpu->FlagA : NativeThunks.PackFlags(LazyFlags.Status(cpu)));
        Instructions += stay - cpu->Budget;
        cpu->Budget += budget - stay;
    }

    private static bool IsStackInReach(CpuState* cpu) => cpu->Registers[Gpr.Rsp] + StackReach < 2 * StackReach;

    /// <summary>What there is to do behind a stay that has not retired all: what translated code came back for is done, so RIP, registers and what is left are the CPU's.</summary>
    public NativeStop AfterStay(CpuState* cpu)
    {
        var exit = cpu->NativeExit;
        if (exit >= (ulong)_exits.Length)
        {
            _exits[^1]++;
            if (cpu->Budget == 0) return NativeStop.Budget;
            if (RefusalAt(cpu->Rip) is { } refusal) return refusal;
            return (long)exit < 0 ? LinkPrecise(cpu, (nint)~exit) : LinkUnit(cpu, (nint)exit);
        }

        _exits[exit]++;
        return (NativeExit)exit switch
        {
            NativeExit.Budget => NativeStop.None,
            NativeExit.Indirect => FollowIndirect(cpu),
            _ => AfterFault(cpu),
        };
    }

    private NativeStop LinkUnit(CpuState* cpu, nint jump)
    {
        var flushes = _cache!.Flushes;
        var target = _cache.LiveAt(cpu->Rip) ?? Again(cpu->Rip);
        if (target is null) return _refusal;

        // If everything was emptied for it, the jump is gone too.
        if (flushes == _cache.Flushes) _cache.Link(jump, target);
        return NativeStop.None;
    }

    /// <summary>What is left may be less than the slack: only precise code can be linked to.</summary>
    private NativeStop LinkPrecise(CpuState* cpu, nint jump)
    {
        if (!_cache!.TryMakePrecise(cpu->Rip)) return _cache.LiveAt(cpu->Rip) is not null || Again(cpu->Rip) is not null ? NativeStop.Block : _refusal;
        _cache.LinkPrecise(jump, cpu->Rip);
        return NativeStop.None;
    }

    private NativeStop FollowIndirect(CpuState* cpu)
    {
        if (CarefulAccess.IsCanonical(cpu->NativeTarget))
        {
            cpu->Rip = cpu->NativeTarget;
            if (RefusalAt(cpu->Rip) is { } refusal) return cpu->Budget > 0 ? refusal : NativeStop.Budget;
            if (cpu->Budget < UnitTranslator.Slack && _cache!.TryRememberPrecise(cpu->Rip)) return NativeStop.None;

            // A place in the middle of a unit, to which another CPU's stop gave an entry, becomes the start of one too: only those are remembered.
            if ((_cache!.LiveAt(cpu->Rip) ?? Again(cpu->Rip)) is { } unit) _cache.Remember(unit);
            else if (_refusal != NativeStop.Cold && cpu->Budget >= UnitTranslator.Slack) return _refusal;
            else if (_refusal == NativeStop.Path && cpu->Budget > 0) return NativeStop.Path;
            return NativeStop.None;
        }

        // That is #GP of the jump itself, which therefore has not retired. An indirect call has asked before it pushed anything.
        if (_cache!.InstructionAt(cpu->Rip) is { Mnemonic: Mnemonic.Ret } instruction)
            cpu->Registers[Gpr.Rsp] -= (ulong)(8 + (instruction.Code == Code.Retnq_imm16 ? instruction.Immediate16 : 0));
        cpu->Budget++;
        Instructions--;
        return NativeStop.Care;
    }

    private NativeStop AfterFault(CpuState* cpu)
    {
        var (point, code) = _cache!.FaultAt((nint)cpu->Rip);
        cpu->Rip = point.Rip;
        cpu->Budget += point.Refund;
        Instructions -= point.Refund;
        cpu->Registers[Gpr.Rsp] += (ulong)(long)point.StackStep;
        for (var i = 0; i < code.Homes.Length; i++)
        {
            var (register, host) = code.Homes[i];
            cpu->Registers[register] = cpu->Registers[host];
            cpu->Registers[host] = cpu->NativeDisplaced[i];
        }

        if (point.Borrowed >= 0) cpu->Registers[point.Borrowed] = cpu->NativeBorrowed;
        if (point.Zeroed.All != RflagsBits.None) LazyFlags.SetBits(cpu, LazyFlags.Status(cpu) & ~LazyFlags.OfBits(point.Zeroed.With(cpu->NativeShiftCount)));
        ref var faults = ref CollectionsMarshal.GetValueRefOrAddDefault(_faults, point.Rip, out _);
        if (++faults == FaultsBorne) _cache.Exclude(point.Rip);
        return NativeStop.Care;
    }

    /// <summary>
    /// Memory and addresses for translated code are asked of the host when there is something to translate, not for every machine; and the
    /// thread is told of the memory once a run, or every time where no machine has said that it runs.
    /// </summary>
    private bool TryPrepare()
    {
        if (_cache is null)
        {
            _view = GuestView.TryCreate(_memory);
            _cache = _view is null ? null : NativeCache.TryCreate(_memory, _blocks, BytesMax, Host, (nint)_view.Origin);
            if (_cache is null)
            {
                _leastBudget = long.MaxValue;
                return false;
            }

            _enter = _cache.Thunks.Enter;
            _untranslatable = new ulong[UntranslatableSlots];
            Origin = _view!.Origin;
        }

        HostSystem.UseGsBase((nint)_view!.Origin);
        _hasBase = _runs > 0;
        return true;
    }
}
