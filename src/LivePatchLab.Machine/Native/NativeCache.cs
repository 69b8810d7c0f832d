using System.Runtime.InteropServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// The translated code of a machine, shared by its CPUs: units by address, the lines whose bytes they hold, and the jumps that lead to
/// them. A line that changes or becomes dirty takes its units out of use; they are found again by their bytes.
/// </summary>
internal sealed unsafe class NativeCache : IDisposable
{
    /// <summary>With less, everything would be forgotten for each unit.</summary>
    public const long LeastBytes = SpareBytes + 8192;

    // For a unit and its precise form, whatever they take.
    private const long SpareBytes = 2 * UnitTranslator.LargestCode;

    private const int LineShift = 6;

    private const int FastEntries = 1 << 14;

    // What is kept of an address for when its bytes come back.
    private const int VariantsKept = 16;

    private readonly GuestMemory _memory;
    private readonly BlockCache _blocks;
    private readonly CodeMemory _code;
    private readonly IndirectTable _indirect;
    private readonly NativeEmitter _emitter = new();
    private readonly VolatileInstructions _volatile;
    private readonly TraceBuilder _trace;
    private readonly UnitTranslator _translator;
    private readonly byte* _codeStart;
    private readonly Dictionary<ulong, List<NativeUnit>> _units = [];
    private readonly Dictionary<ulong, Entries> _entries = [];
    private readonly Dictionary<uint, List<NativeUnit>> _lines = [];
    private readonly List<NativeCode> _stretches = [];
    private readonly (ulong Rip, Entries Entries)[] _fast = new (ulong, Entries)[FastEntries];

    // Addresses of which memory holds other bytes than any unit of theirs was made of, and when that was found: looking again has no use before something changes.
    private readonly (ulong Rip, long Changes)[] _otherBytes = new (ulong, long)[FastEntries];
    private long _changes = 1;

    private NativeCache(GuestMemory memory, BlockCache blocks, CodeMemory code, IndirectTable indirect, NativeHost host, nint origin)
    {
        _memory = memory;
        _blocks = blocks;
        _code = code;
        _indirect = indirect;
        _volatile = new(memory);
        _trace = new(memory, blocks, _volatile);
        Thunks = new(code, _emitter);
        _translator = new(code, _emitter, Thunks, indirect, new(code, _emitter, Thunks, host), host, origin);
        _codeStart = code.Next;
        indirect.Clear(Thunks.IndirectMiss);
    }

    public NativeThunks Thunks { get; }

    public long TranslatedUnits { get; private set; }

    public long TranslatedInstructions { get; private set; }

    public long TranslatedBytes { get; private set; }

    public long FoundAgain { get; private set; }

    public long Flushes { get; private set; }

    /// <summary>Null where the host has no memory or addresses for it.</summary>
    /// <param name="memory">The machine's memory.</param>
    /// <param name="blocks">The interpreter's cache, which knows what is dirty.</param>
    /// <param name="bytesMax">Native code beyond this is forgotten.</param>
    /// <param name="host">The processor that is translated for.</param>
    /// <param name="origin">Where translated code finds the guest's address 0.</param>
    public static NativeCache? TryCreate(GuestMemory memory, BlockCache blocks, long bytesMax, NativeHost host, nint origin)
    {
        var code = CodeMemory.TryCreate(bytesMax);
        if (code is null) return null;
        if (AddressProbe.IsAvailable && IndirectTable.TryCreate() is { } indirect) return new(memory, blocks, code, indirect, host, origin);
        code.Dispose();
        return null;
    }

    /// <summary>Where the code at an address can be entered now with what is left of a budget; 0 where it cannot.</summary>
    public nint EntryOf(ulong rip, long budget)
    {
        ref var fast = ref _fast[SlotOf(rip)];
        if (fast.Rip != rip || (fast.Entries.Unit | fast.Entries.Precise) == 0)
        {
            if (!_entries.TryGetValue(rip, out var entries)) return 0;
            fast = (rip, entries);
        }

        return budget >= UnitTranslator.Slack && fast.Entries.Unit != 0 ? fast.Entries.Unit : fast.Entries.Precise;
    }

    /// <summary>The live unit that begins at an address, or null.</summary>
    public NativeUnit? LiveAt(ulong rip)
    {
        if (!_units.TryGetValue(rip, out var units)) return null;
        foreach (var unit in CollectionsMarshal.AsSpan(units))
            if (unit.IsLive) return unit;
        return null;
    }

    /// <summary>True where there is a unit for an address, whatever bytes it was made of.</summary>
    public bool WasTranslated(ulong rip) => _units.TryGetValue(rip, out var units) && units.Count > 0;

    /// <summary>True for an instruction whose bytes are other ones time and again: it is translated alone.</summary>
    public bool IsVolatile(ulong rip) => _volatile.Contains(rip);

    /// <summary>A unit at an address that was translated before and whose bytes memory holds again, back in use.</summary>
    public NativeUnit? FindAgain(ulong rip)
    {
        ref var otherBytes = ref _otherBytes[SlotOf(rip)];
        if (otherBytes == (rip, _changes) || !_units.TryGetValue(rip, out var units)) return null;
        NativeUnit? longest = null;
        var isInMemory = false;
        foreach (var unit in CollectionsMarshal.AsSpan(units))
        {
            if ((longest is not null && unit.Bytes.Length <= longest.Bytes.Length) || !IsInMemory(unit)) continue;
            isInMemory = true;
            if (!IsDirty(unit)) longest = unit;
        }

        if (!isInMemory) otherBytes = (rip, _changes);

        // One that was cut short by a dirty line gives way to a whole one once that line is clean.
        if (longest is null || (longest.IsCutShort && !_blocks.MayBeDirty(longest.Segments[^1].Start + (ulong)longest.Segments[^1].Length))) return null;
        FoundAgain++;
        Use(longest);
        return longest;
    }

    /// <summary>Translates a path that has been executed; null where its first instruction is for the interpreter.</summary>
    /// <param name="path">The addresses of its instructions, and then where it went on.</param>
    public NativeUnit? Translate(ReadOnlySpan<ulong> path)
    {
        if (_code.Left < SpareBytes) Flush();
        var rip = path[0];
        _trace.Build(path);
        if (_trace.Count == 0 || _translator.Translate(_trace) is not { } translated) return null;
        var (unit, code) = translated;
        Note(code, unit.Count);
        var variants = CollectionsMarshal.GetValueRefOrAddDefault(_units, rip, out _) ??= [];
        if (variants.Count > 0) _volatile.Note(_trace.Trace, variants[^1]);
        variants.Add(unit);
        if (variants.Count > VariantsKept && variants.Find(variant => !variant.IsLive && variant != unit) is { } oldest) Drop(oldest);
        foreach (var (start, length) in unit.Segments)
        {
            foreach (var line in new CodeSpan(start, length).Lines)
            {
                var units = CollectionsMarshal.GetValueRefOrAddDefault(_lines, (uint)(line >> LineShift), out _) ??= [];
                if (units.Count == 0 || units[^1] != unit) units.Add(unit);
                _memory.PageFlags[(uint)line >> 12] |= PageFlag.Decoded;
            }
        }

        Use(unit);
        return unit;
    }

    /// <summary>Has there be precise code at an address where a live unit begins or is paid for; false where there is none.</summary>
    public bool TryMakePrecise(ulong rip)
    {
        if (HasPrecise(rip) || (LiveAt(rip) is { } unit && TryMakePrecise(unit, rip))) return true;
        if (!_lines.TryGetValue((uint)(rip >> LineShift), out var units)) return false;
        foreach (var other in CollectionsMarshal.AsSpan(units))
            if (other.IsLive && other.PaidAt.Contains(rip) && TryMakePrecise(other, rip)) return true;
        return false;
    }

    private bool HasPrecise(ulong rip) => _entries.TryGetValue(rip, out var entries) && entries.Precise != 0;

    /// <summary>Has a jump of translated code lead to a unit for as long as that is live.</summary>
    public void Link(nint jump, NativeUnit target) => Link(jump, target, target.Entry);

    /// <summary>Has a jump of translated code lead to precise code for as long as the unit is live that it belongs to.</summary>
    public void LinkPrecise(nint jump, ulong target)
    {
        var entries = _entries[target];
        Link(jump, entries.PreciseOwner!, entries.Precise);
    }

    /// <summary>Lets indirect jumps find a unit.</summary>
    public void Remember(NativeUnit unit)
    {
        if (TraceBuilder.IsExpectable(unit.Rip)) _indirect.Set(unit.Rip, unit.IndirectEntry);
    }

    /// <summary>Lets indirect jumps that have less than the slack left find the precise form of an address; false where there is none.</summary>
    public bool TryRememberPrecise(ulong rip)
    {
        if (!TraceBuilder.IsExpectable(rip) || !TryMakePrecise(rip) || _code.Left < SpareBytes) return false;
        var (_, entry, owner) = _entries[rip];
        var known = owner!.IndirectPrecise.Find(way => way.Rip == rip);
        if (known.Entry == 0)
        {
            known = (rip, _translator.WriteIndirectEntry(rip, entry));
            owner.IndirectPrecise.Add(known);
        }

        _indirect.SetPrecise(rip, known.Entry);
        return true;
    }

    /// <summary>The instruction of the guest's that faulted at an address of the host's.</summary>
    public (FaultPoint Point, NativeCode Code) FaultAt(nint address)
    {
        var (low, high) = (0, _stretches.Count - 1);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (_stretches[middle].Start <= address) low = middle;
            else high = middle - 1;
        }

        var stretch = _stretches[low];
        return address >= stretch.Start && address < stretch.End ? (stretch.PointOf(address), stretch) : throw new InvalidOperationException("translated code has faulted where no guest instruction is");
    }

    /// <summary>The instruction that stands in memory at an address from which translated code has just come.</summary>
    public Instruction InstructionAt(ulong rip)
    {
        var fetch = new MemoryFetch(_memory);
        fetch.Begin(rip);
        fetch.Decode(out var instruction);
        return instruction;
    }

    /// <summary>The bytes of a line changed, or it became dirty. What holds none of those bytes stays in use.</summary>
    public void Invalidate(ulong line)
    {
        if (!_lines.TryGetValue((uint)(line >> LineShift), out var units)) return;
        NoteChange();
        foreach (var unit in CollectionsMarshal.AsSpan(units))
            if (unit.IsLive && !(IsInMemory(unit) && !IsDirty(unit))) Retire(unit);
    }

    /// <summary>What was not in memory, or could not be executed there, may be now.</summary>
    public void NoteChange() => _changes++;

    /// <summary>Leaves an instruction to the interpreter from now on.</summary>
    public void Exclude(ulong rip)
    {
        if (!_trace.Interpreted.Add(rip)) return;
        if (!_lines.TryGetValue((uint)(rip >> LineShift), out var units)) return;
        foreach (var unit in units.ToArray())
        {
            if (!unit.Holds(rip)) continue;
            if (unit.IsLive) Retire(unit);

            // Its bytes would be found again.
            Drop(unit);
        }
    }

    public void Dispose()
    {
        _code.Dispose();
        _indirect.Dispose();
    }

    private void Note(NativeCode code, int instructions)
    {
        _stretches.Add(code);
        TranslatedUnits++;
        TranslatedInstructions += instructions;
        TranslatedBytes += code.End - code.Start;
    }

    private bool TryMakePrecise(NativeUnit unit, ulong start)
    {
        // Another unit's, of the same code, may have stood in its place and be gone.
        UsePrecise(unit);
        if (unit.PreciseStarts.Contains(start)) return HasPrecise(start);
        if (_code.Left < SpareBytes) return false;
        unit.PreciseStarts.Add(start);
        _trace.BuildStraight(unit, start);
        if (_trace.Count == 0 || _translator.TranslatePrecise(_trace) is not { } precise) return false;
        Note(precise.Code, precise.Entries.Length);
        unit.Precise.AddRange(precise.Entries);
        UsePrecise(unit);
        return true;
    }

    private void Link(nint jump, NativeUnit owner, nint target)
    {
        var place = (int*)_code.Writable(jump);
        owner.Incoming.Add(new(jump, jump + 4 + *place));
        Redirect(jump, target);
    }

    private void Use(NativeUnit unit)
    {
        unit.IsLive = true;
        CollectionsMarshal.GetValueRefOrAddDefault(_entries, unit.Rip, out _).Unit = unit.Entry;
        Forget(unit.Rip);
        UsePrecise(unit);
        foreach (var round in unit.Rounds)
        {
            unit.Incoming.Add(round);
            Redirect(round.Jump, unit.RoundEntry);
        }
    }

    /// <summary>What the precise form of another unit entered before is the same code.</summary>
    private void UsePrecise(NativeUnit unit)
    {
        foreach (var (rip, entry) in CollectionsMarshal.AsSpan(unit.Precise))
        {
            ref var entries = ref CollectionsMarshal.GetValueRefOrAddDefault(_entries, rip, out _);
            if (entries.Precise != 0) continue;
            (entries.Precise, entries.PreciseOwner) = (entry, unit);
            Forget(rip);
        }
    }

    private void Retire(NativeUnit unit)
    {
        unit.IsLive = false;
        _entries[unit.Rip] = _entries[unit.Rip] with { Unit = 0 };
        Forget(unit.Rip);
        _indirect.Remove(unit.Rip, unit.IndirectEntry);
        foreach (var (rip, entry) in CollectionsMarshal.AsSpan(unit.IndirectPrecise)) _indirect.RemovePrecise(rip, entry);
        foreach (var (rip, _) in CollectionsMarshal.AsSpan(unit.Precise))
        {
            var entries = _entries[rip];
            if (entries.PreciseOwner == unit) _entries[rip] = entries with { Precise = 0, PreciseOwner = null };
            Forget(rip);
        }

        foreach (var (jump, stub) in CollectionsMarshal.AsSpan(unit.Incoming)) Redirect(jump, stub);
        unit.Incoming.Clear();
    }

    /// <summary>Forgets a unit that is not live. Its code stays where it is, and nothing leads to it.</summary>
    private void Drop(NativeUnit unit)
    {
        _units[unit.Rip].Remove(unit);
        foreach (var (start, length) in unit.Segments)
            foreach (var line in new CodeSpan(start, length).Lines) _lines[(uint)(line >> LineShift)].Remove(unit);
    }

    private static int SlotOf(ulong rip) => (int)(rip ^ (rip >> 14)) & (FastEntries - 1);

    private void Forget(ulong rip) => _fast[SlotOf(rip)] = default;

    private void Redirect(nint jump, nint target) => *(int*)_code.Writable(jump) = (int)(target - (jump + 4));

    /// <summary>Whether memory holds the bytes of a unit, and they may be executed.</summary>
    private bool IsInMemory(NativeUnit unit)
    {
        var at = 0;
        foreach (var (start, length) in unit.Segments)
        {
            foreach (var page in new CodeSpan(start, length).Pages)
                if ((_memory.PageFlags[(uint)page >> 12] & (byte)PagePermissions.Execute) == 0) return false;
            if (!new ReadOnlySpan<byte>(_memory.Origin + (long)start, length).SequenceEqual(unit.Bytes.AsSpan(at, length))) return false;
            at += length;
        }

        return true;
    }

    private bool IsDirty(NativeUnit unit)
    {
        foreach (var (start, length) in unit.Segments)
            if (_blocks.IsDirty(start, length)) return true;
        return false;
    }

    private void Flush()
    {
        Flushes++;
        _units.Clear();
        _entries.Clear();
        _lines.Clear();
        _volatile.Clear();
        _stretches.Clear();
        Array.Clear(_fast);
        Array.Clear(_otherBytes);
        _indirect.Clear(Thunks.IndirectMiss);
        _code.Next = _codeStart;
    }

    /// <summary>The ways into the code at an address, 0 where there is none: the unit that begins there, and the precise form of one that has it.</summary>
    private record struct Entries(nint Unit, nint Precise, NativeUnit? PreciseOwner);
}
