using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>
/// Runs the CPUs of one machine, one at a time. Code is decoded once into operations whose handlers call each other in tail
/// position; this loop is where a chain begins and where it ends up when something is not plain: an edge without a target yet,
/// an access that crosses pages, an instruction in a dirty line, a fault, the end of the budget.
/// </summary>
internal sealed unsafe partial class Interpreter : IDisposable
{
    private readonly GuestMemory _memory;
    private readonly ICodeSource _code;
    private readonly BlockCache _cache;
    private readonly MemoryFetch _memoryFetch;
    private readonly ModelFetch _modelFetch;
    private SingleOp? _lastSingle;

    public Interpreter(GuestMemory memory, ICodeSource code)
    {
        _memory = memory;
        _code = code;
        _cache = new BlockCache(memory, code);
        _memoryFetch = new MemoryFetch(memory);
        _modelFetch = new ModelFetch(code);
    }

    /// <summary>Told of every instruction fetched from a dirty line; null costs nothing.</summary>
    public IFetchObserver? FetchObserver
    {
        get;
        set
        {
            field = value;
            _cache.IsObserved = value is not null;
        }
    }

    /// <summary>What runs hot code; null where everything is interpreted.</summary>
    public NativeEngine? Native { get; private set; }

    public long DecodedBlocks => _cache.DecodedBlocks;

    /// <summary>Instructions decoded to be run alone: variants of dirty code, and accesses that were not plain.</summary>
    public long DecodedSingles => _cache.DecodedSingles;

    /// <summary>Host memory that decoded code takes.</summary>
    public long DecodedBytes => _cache.DecodedBytes;

    public static ulong ReadFlags(CpuState* cpu) => LazyFlags.ReadAll(cpu);

    public static void WriteFlags(CpuState* cpu, ulong flags) => LazyFlags.WriteAll(cpu, flags);

    /// <summary>Where the host finds what the guest has at an address near the window, by whatever way it is reached most.</summary>
    public byte* HostAddressOf(ulong address) => (Native is { } native ? native.Origin : _memory.Origin) + (long)(int)address;

    /// <summary>Makes a CPU's state one of this machine's. Its registers stay as they are.</summary>
    public void Attach(CpuState* cpu, int index)
    {
        cpu->Memory = _memory.Origin;
        cpu->PageFlags = _memory.PageFlags;
        cpu->JumpCache = _cache.JumpCacheEntries;
        cpu->CpuIndex = index;
        cpu->Current = null;
    }

    /// <summary>The bytes of this 64-byte line changed, or it became dirty: nothing decoded from them is entered any more.</summary>
    public void InvalidateLine(GuestAddress line)
    {
        if ((_memory.PageFlags[GuestMemory.PageOf(line)] & PageFlag.Decoded) == 0) return;
        _cache.Invalidate(line.Value);
        Native?.InvalidateLine(line.Value);
    }

    /// <summary>The permissions of pages are not what they were: what was decoded there may not be executable any more.</summary>
    public void ChangePermissions(GuestAddress start, long length)
    {
        for (var offset = 0L; offset < length; offset += GuestMemory.PageBytes)
        {
            var page = start + offset;
            if ((_memory.PageFlags[GuestMemory.PageOf(page)] & PageFlag.Decoded) == 0) continue;
            foreach (var line in new CodeSpan(page.Value, GuestMemory.PageBytes).Lines) InvalidateLine(new(line));
        }

        Native?.ChangePermissions(start, length);
    }

    /// <summary>Has hot code run native from now on.</summary>
    /// <param name="options">Of the machine: which engine was asked for, and what of the host's the translator may use.</param>
    public void UseTranslator(MachineOptions options)
        => Native = new(_memory, _cache, isEager: options.Engine == ExecutionEngine.Translator) { Clock = options.HostClock, BytesMax = options.TranslationBytesMax, HotInstructions = options.HotInstructions, Host = options.Host };

    /// <summary>
    /// Retires at most <paramref name="instructions"/> instructions and returns how many it did. RIP is valid afterwards and
    /// <see cref="CpuState.Exit"/> says why it came back: <see cref="ExecutionExit.Budget"/> exactly when all were retired.
    /// </summary>
    public long Run(CpuState* cpu, long instructions)
    {
        var budget = instructions;
        cpu->Exit = ExecutionExit.Budget;
        cpu->RunLength = instructions;
        cpu->BudgetBeyond = 0;
        var op = cpu->Current;

        // Whoever delivers a trap or returns from one sets RIP and need not know of the rest.
        if (op != null && (cpu->Generation != _cache.Generation || op->Address != cpu->Rip || !BlockCache.IsLive(op))) op = null;

        if (SingleStep.TryRaiseDue(cpu)) return 0;
        if (op == null && Native is { } translated && translated.IsWorth(budget) && !SingleStep.IsWanted(cpu))
        {
            cpu->Current = null;
            return RunOn(translated, translated.Run(cpu, instructions), cpu, instructions);
        }

        return instructions - RunOn(cpu, op, instructions, budget);
    }

    /// <summary>Ends a run that has begun with <see cref="NativeEngine.TryStay"/>, where not all has been retired there; <see cref="CpuState.Budget"/> then says what is left.</summary>
    /// <returns>What there is to do next, for <see cref="RunAfterStay"/>.</returns>
    public NativeStop EndStay(CpuState* cpu)
    {
        cpu->Exit = ExecutionExit.Budget;
        cpu->BudgetBeyond = 0;
        return Native!.AfterStay(cpu);
    }

    /// <summary>The rest of that run. What it has retired before counts as retired by it.</summary>
    public long RunAfterStay(CpuState* cpu, NativeStop stop, long instructions)
    {
        cpu->RunLength = instructions;
        return RunOn(Native!, stop == NativeStop.None ? Native!.GoOn(cpu) : stop, cpu, instructions);
    }

    private long RunOn(NativeEngine native, NativeStop stop, CpuState* cpu, long instructions)
    {
        if (stop == NativeStop.Budget) return instructions;
        var op = AfterNative(native, stop, cpu, instructions, out var budget);
        return instructions - RunOn(cpu, op, instructions, budget);
    }

    /// <summary>Goes on until the budget is used up or something else ends the run; gives what is left.</summary>
    private long RunOn(CpuState* cpu, Op* op, long instructions, long budget)
    {
        while (budget > 0 && cpu->Exit == ExecutionExit.Budget)
            op = SingleStep.IsWanted(cpu) ? Step(cpu, op, instructions, ref budget)
                : Native is not { } native ? Proceed(cpu, op, ref budget)
                : native.IsWorth(budget) ? RunNative(native, cpu, op, instructions, ref budget)
                : native.IsResting ? Rest(native, cpu, op, instructions, ref budget)
                : Proceed(cpu, op, ref budget);

        cpu->Current = op;
        cpu->Generation = _cache.Generation;
        if (op != null) cpu->Rip = op->Address;
        return budget;
    }

    /// <summary>What the instruction that <see cref="RunOne"/> ran last does to the world outside the registers.</summary>
    public GuestTouches LastTouches { get; private set; }

    /// <summary>Bytes of that instruction; 0 where it could not be fetched.</summary>
    public int LastLength => _lastSingle?.Bytes.Length ?? 0;

    /// <summary>The bytes of that instruction as the CPU was given them.</summary>
    public ReadOnlySpan<byte> LastBytes => _lastSingle is null ? default : _lastSingle.Bytes;

    /// <summary>
    /// Retires one instruction, fetched through the model whether its line is dirty or not, and returns 1, or 0 where it trapped. A machine that goes one transition
    /// at a time stops behind every instruction, so blocks would only be in the way.
    /// </summary>
    public long RunOne(CpuState* cpu)
    {
        cpu->Exit = ExecutionExit.Budget;
        cpu->RunLength = 1;
        cpu->BudgetBeyond = 0;
        cpu->Current = null;
        _lastSingle = null;
        LastTouches = GuestTouches.Nothing;
        if (SingleStep.TryRaiseDue(cpu)) return 0;
        var step = SingleStep.Begin(cpu);
        var budget = 1L;
        if (RepeatedString.Pending(cpu) is { Length: > 0 } repeated ? TryRunSingle(cpu, _cache.SingleOf(cpu->Rip, repeated), ref budget) : TryRunOne(cpu, ref budget)) SetRipToNext(cpu);
        step.End(cpu, isRetired: budget == 0);
        cpu->Current = null;
        if (_lastSingle is { } single) LastTouches = single.Touches;
        return 1 - budget;
    }

    public void Dispose()
    {
        _cache.Dispose();
        Native?.Dispose();
    }

    private bool TryRunOne(CpuState* cpu, ref long budget)
    {
        if (_code.FetchesCleanPlainly && _cache.KnownSingle(cpu->Rip) is { } known) return TryRunSingle(cpu, known, ref budget);
        _modelFetch.Cpu = new CpuId(cpu->CpuIndex);
        _modelFetch.RetiredInRun = 0;
        _modelFetch.Begin(cpu->Rip);
        return TryRunSingle(cpu, _modelFetch, ref budget);
    }

    /// <summary>Runs until the handlers come back; gives the operation to go on with, or null to go on at RIP.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Op* Proceed(CpuState* cpu, Op* op, ref long budget)
    {
        if (op == null)
        {
            op = FindRip(cpu, ref budget);
            if (cpu->Exit != ExecutionExit.Budget || op == null || budget <= 0) return op;
        }

        if (op->RemainingInstructions > budget) op = _cache.Precise(op);
        ((Handler)op->Handler)(cpu, op, cpu->Memory, budget - op->RemainingInstructions);
        budget = cpu->Budget;
        return Resume(cpu, ref budget);
    }

    /// <summary>Translated code as far as it goes, and then what it leaves to the handlers: a block, or an instruction to be run with care.</summary>
    private Op* RunNative(NativeEngine native, CpuState* cpu, Op* op, long instructions, ref long budget)
    {
        if (op != null) cpu->Rip = op->Address;
        return AfterNative(native, native.Run(cpu, budget), cpu, instructions, out budget);
    }

    private Op* AfterNative(NativeEngine native, NativeStop stop, CpuState* cpu, long instructions, out long budget)
    {
        budget = cpu->Budget;
        switch (stop)
        {
            case NativeStop.Budget:
                return null;
            case NativeStop.Cold:
                return null;
            case NativeStop.Dirty:
                return RunDirty(cpu, ref budget);
            case NativeStop.Path:
                return NotePath(native, cpu, instructions, ref budget);
            case NativeStop.Care:
                _memoryFetch.Begin(cpu->Rip);
                return RunAlone(cpu, _memoryFetch, ref budget);
        }

        // Just this block, so that translated code is asked again behind it.
        return Interpret(cpu, null, 0, instructions, ref budget);
    }

    /// <summary>Nothing is hot, so translated code is not asked for a while.</summary>
    private Op* Rest(NativeEngine native, CpuState* cpu, Op* op, long instructions, ref long budget)
    {
        var before = budget;
        op = Interpret(cpu, op, native.Rest, instructions, ref budget);
        native.NoteInterpreted(before - budget);
        return op;
    }

    /// <summary>One block, and as many more as so many instructions hold; fewer where something is not plain.</summary>
    private Op* Interpret(CpuState* cpu, Op* op, long wanted, long instructions, ref long budget)
    {
        if (op == null)
        {
            op = FindRip(cpu, ref budget);
            if (cpu->Exit != ExecutionExit.Budget || op == null || budget <= 0) return op;
        }

        var left = Math.Min(budget, Math.Max(wanted, op->RemainingInstructions));
        var beyond = budget - left;
        cpu->RunLength = instructions - beyond;
        do op = Proceed(cpu, op, ref left);
        while (left > 0 && cpu->Exit == ExecutionExit.Budget && !SingleStep.IsWanted(cpu) && (beyond == 0 || (op != null && op->RemainingInstructions <= left)));
        cpu->RunLength = instructions;
        budget = beyond + left;
        return op;
    }

    /// <summary>One instruction after the other, as the sample of what hot code does from which it is translated.</summary>
    private Op* NotePath(NativeEngine native, CpuState* cpu, long instructions, ref long budget)
    {
        Op* op = null;
        while (budget > 0 && !native.EndsPath(cpu->Rip) && native.TryNote(cpu->Rip) && !SingleStep.IsWanted(cpu))
        {
            var one = 1L;
            cpu->RunLength = instructions - budget + one;
            while (one > 0 && cpu->Exit == ExecutionExit.Budget && cpu->RepeatLength == 0) op = Proceed(cpu, op, ref one);
            budget += one - 1;
            if (op != null) cpu->Rip = op->Address;
            if (cpu->Exit != ExecutionExit.Budget) break;
        }

        if (cpu->Exit == ExecutionExit.Budget) native.TryNote(cpu->Rip);
        cpu->RunLength = instructions;
        native.TranslatePath();
        return op;
    }

    /// <summary>One instruction, or the rest of one that repeats, and then what RFLAGS.TF or the shadow of STI asks for.</summary>
    private Op* Step(CpuState* cpu, Op* op, long instructions, ref long budget)
    {
        var step = SingleStep.Begin(cpu);
        var one = 1L;

        // RDTSC counts from the entry of the run.
        cpu->RunLength = instructions - budget + one;
        while (one > 0 && cpu->Exit == ExecutionExit.Budget)
            op = RepeatedString.Pending(cpu) is { Length: > 0 } repeated ? GoOnWith(repeated, cpu, ref one) : Proceed(cpu, op, ref one);
        cpu->RunLength = instructions;
        budget += one - 1;
        step.End(cpu, isRetired: one == 0);
        return op;
    }

    private Op* GoOnWith(ReadOnlySpan<byte> repeated, CpuState* cpu, ref long budget)
        => TryRunSingle(cpu, _cache.SingleOf(cpu->Rip, repeated), ref budget) ? AfterSingle(cpu) : null;

    /// <summary>What the handlers came back for is done; gives the operation to go on with, or null to go on at RIP.</summary>
    private Op* Resume(CpuState* cpu, ref long budget)
    {
        switch (cpu->Reason)
        {
            case LeaveReason.OutOfBudget:
                return cpu->Current;
            case LeaveReason.UnlinkedEdge:
                return FollowEdge(cpu);
            case LeaveReason.NeedsCare:
                cpu->Rip = cpu->Current->Address;
                _memoryFetch.Begin(cpu->Rip);
                return RunAlone(cpu, _memoryFetch, ref budget);
            default:
                return null;
        }
    }

    private Op* FollowEdge(CpuState* cpu)
    {
        var stub = cpu->Current;
        cpu->Rip = (ulong)stub->Immediate;
        var generation = _cache.Generation;
        var block = _cache.Find(cpu->Rip, out _);
        if (block is null) return null;
        if (generation == _cache.Generation) BlockCache.Link(stub, block);
        return block.First;
    }

    /// <summary>The block at RIP. Null when there is none: then the instruction there has been run alone, or has trapped.</summary>
    private Op* FindRip(CpuState* cpu, ref long budget)
    {
        var remembered = JumpCache.Slot(_cache.JumpCacheEntries, cpu->Rip);
        if (remembered->Rip == cpu->Rip) return remembered->Block;
        var block = _cache.Find(cpu->Rip, out var obstacle);
        if (block is not null)
        {
            _cache.Remember(block);
            return block.First;
        }

        if (obstacle == Obstacle.FetchFault)
        {
            FetchFault(cpu);
            return null;
        }

        return RunDirty(cpu, ref budget);
    }

    /// <summary>
    /// Runs the one instruction at RIP, with memory reached the careful way. The budget is kept from the handlers, so whatever they
    /// would go on to comes back here at once.
    /// </summary>
    private Op* RunAlone(CpuState* cpu, InstructionFetch fetch, ref long budget) => TryRunSingle(cpu, fetch, ref budget) ? AfterSingle(cpu) : null;

    private Op* AfterSingle(CpuState* cpu) => cpu->Reason switch
    {
        LeaveReason.OutOfBudget => cpu->Current,
        LeaveReason.UnlinkedEdge => FollowEdge(cpu),
        _ => null,
    };

    /// <summary>The same, without looking for what comes after it; false when RIP says that, and the run's exit why it should end here.</summary>
    private bool TryRunSingle(CpuState* cpu, InstructionFetch fetch, ref long budget)
    {
        var rip = cpu->Rip;
        var single = _cache.FindSingle(rip, fetch);
        if (single is null)
        {
            FetchFault(cpu);
            return false;
        }

        if (fetch == _modelFetch && !Admits(cpu, rip, single))
        {
            _lastSingle = single;
            return false;
        }

        return TryRunSingle(cpu, single, ref budget);
    }

    private bool TryRunSingle(CpuState* cpu, SingleOp single, ref long budget)
    {
        _lastSingle = single;
        cpu->StoreBytes = 0;
        cpu->BudgetBeyond = budget - 1;
        ((Handler)single.Op->Handler)(cpu, single.Op, cpu->Memory, 0);
        budget = cpu->Budget + cpu->BudgetBeyond;
        if (cpu->RepeatLength != 0) RepeatedString.NoteBytes(cpu, single.Op, single.Bytes);
        var hasStoredCode = false;
        if (cpu->StoreBytes != 0)
        {
            if (cpu->Exit == ExecutionExit.Trap) cpu->StoreBytes = 0;
            else hasStoredCode = CarefulAccess.Commit(cpu, _code);
        }

        cpu->BudgetBeyond = 0;
        if (!hasStoredCode) return true;
        SetRipToNext(cpu);
        cpu->Exit = ExecutionExit.CodeStored;
        return false;
    }

    private static void SetRipToNext(CpuState* cpu)
    {
        if (cpu->Reason == LeaveReason.OutOfBudget) cpu->Rip = cpu->Current->Address;
        else if (cpu->Reason == LeaveReason.UnlinkedEdge) cpu->Rip = (ulong)cpu->Current->Immediate;
    }

    private void FetchFault(CpuState* cpu)
    {
        var address = _cache.FaultAddress;
        cpu->Exit = ExecutionExit.Trap;
        if (!CarefulAccess.IsCanonical(address))
        {
            Traps.Record(cpu, Traps.GeneralProtection);
            return;
        }

        var flags = (ulong)(int)address == address ? cpu->PageFlags[(uint)address >> 12] : (byte)0;
        Traps.RecordPageFault(cpu, address, flags, Traps.PageFaultFetch);
    }
}
