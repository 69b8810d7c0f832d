using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>How a transition used something that others can use too.</summary>
public enum AccessKind : byte
{
    /// <summary>Does not conflict with other reads.</summary>
    Read,

    /// <summary>Conflicts with every other access.</summary>
    Write,

    /// <summary>Hands something on: whoever acquires it later comes after this.</summary>
    Release,

    /// <summary>Comes after all that was released so far.</summary>
    Acquire,
}

/// <summary>One use of something shared.</summary>
/// <param name="Thing">What, by number: of a line of code, a variable, a lock, a CPU's floor. Different things seldom share a number; when they do, they count as one.</param>
/// <param name="Kind">How.</param>
public readonly record struct Access(uint Thing, AccessKind Kind);

/// <summary>
/// What one transition touched, for whoever wants to know which transitions commute. A step of a kind that does not say is taken to touch
/// everything that nobody else speaks for, so a step that forgets is explored too often, not too seldom.
/// </summary>
public sealed class AccessLog
{
    private const uint CpuThings = 0x1000_0000, Rounds = 0x2000_0000, CodeLines = 0x4000_0000, Named = 0x8000_0000;

    private const int NamesKnown = 256;

    /// <summary>Names are mostly literals, and a search gives the same few to the variables of every execution.</summary>
    private static readonly Name?[] KnownNames = new Name?[NamesKnown];

    private Access[] _accesses = new Access[32];
    private int _count;

    /// <summary>Guest data, and whatever a step touches that does not say what.</summary>
    public const uint AnyData = 1;

    /// <summary>How often anything was noted, repetitions included.</summary>
    public int Notes { get; private set; }

    /// <summary>False where nobody asks which transitions commute: then what was touched is counted and not kept.</summary>
    public bool KeepsAccesses { get; set; } = true;

    public ReadOnlySpan<Access> Accesses => _accesses.AsSpan(0, _count);

    /// <summary>A number for something that has a name.</summary>
    public static uint ThingNamed(string name)
    {
        var at = name.Length == 0 ? 0 : ((name.Length * 37) + (name[0] * 5) + (name[^1] * 3) + name[name.Length / 2]) % NamesKnown;
        if (KnownNames[at] is { } known && ReferenceEquals(known.Text, name)) return known.Thing;
        var thing = HashOf(name);
        KnownNames[at] = new(name, thing);
        return thing;
    }

    private static uint HashOf(string name)
    {
        // FNV-1a: any spread will do, but it must be the same in every process, or the same search would count differently.
        var hash = 2166136261u;
        foreach (var c in name) hash = (hash ^ c) * 16777619;
        return hash | Named;
    }

    public void Read(uint thing) => Add(thing, AccessKind.Read);

    public void Write(uint thing) => Add(thing, AccessKind.Write);

    public void Release(uint thing) => Add(thing, AccessKind.Release);

    public void Acquire(uint thing) => Add(thing, AccessKind.Acquire);

    /// <summary>Bytes of code, or of anything else that lies in memory at a known place.</summary>
    public void ReadLines(GuestAddress address, int length) => AddLines(address, length, AccessKind.Read);

    public void WriteLines(GuestAddress address, int length) => AddLines(address, length, AccessKind.Write);

    /// <summary>What a CPU may still be given of older code: it changes when the CPU serialises.</summary>
    public void ReadFloorOf(Cpu cpu) => Read(FloorOf(cpu.Id.Index));

    internal static uint InterruptFlagOf(int cpu) => CpuThings + ((uint)cpu * 8);

    internal static uint FloorOf(int cpu) => CpuThings + ((uint)cpu * 8) + 1;

    internal static uint WorkOf(int cpu) => CpuThings + ((uint)cpu * 8) + 2;

    internal static uint WakeOf(int cpu) => CpuThings + ((uint)cpu * 8) + 3;

    internal static uint StoreBufferOf(int cpu) => CpuThings + ((uint)cpu * 8) + 4;

    internal static uint RoundOf(int cpu, uint ordinal) => Rounds + ((uint)cpu << 16) + (2 * (ordinal & 0x7fff));

    internal static uint LineOf(ulong address) => CodeLines | ((uint)(address >> 6) & 0x3ff_ffff);

    internal void Clear()
    {
        _count = 0;
        Notes = 0;
    }

    private void AddLines(GuestAddress address, int length, AccessKind kind)
    {
        foreach (var line in new CodeSpan(address.Value, Math.Max(1, length)).Lines) Add(LineOf(line), kind);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Add(uint thing, AccessKind kind)
    {
        Notes++;
        if (KeepsAccesses) Keep(thing, kind);
    }

    private void Keep(uint thing, AccessKind kind)
    {
        for (var i = 0; i < _count; i++)
        {
            ref var known = ref _accesses[i];
            if (known.Thing != thing) continue;
            if (known.Kind == kind) return;
            if (known.Kind > AccessKind.Write || kind > AccessKind.Write) continue;
            known = new(thing, AccessKind.Write);
            return;
        }

        if (_count == _accesses.Length) Array.Resize(ref _accesses, 2 * _count);
        _accesses[_count++] = new(thing, kind);
    }

    /// <summary>Written whole, so that threads may share them.</summary>
    private sealed record Name(string Text, uint Thing);
}
