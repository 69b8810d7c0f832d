using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>
/// A bit for each thing that transitions touch, in the order in which a search meets them, so that whether two transitions conflict is one AND. The small situations
/// that are searched exhaustively have a few dozen things; beyond 64 a bit stands for several, and what meets there must be looked at closely.
/// </summary>
internal sealed class ThingBits
{
    private const int Bits = 64;

    private const int RecentThings = 256;

    private readonly Dictionary<uint, ulong> _bits = [];

    /// <summary>What was asked for last of the things with these low bits.</summary>
    private readonly (uint Thing, ulong Bit)[] _recent = new (uint, ulong)[RecentThings];

    /// <summary>The bits that stand for more than one thing.</summary>
    public ulong Shared { get; private set; }

    public ulong Of(uint thing)
    {
        ref var recent = ref _recent[thing % RecentThings];
        if (recent.Thing == thing && recent.Bit != 0) return recent.Bit;
        if (!_bits.TryGetValue(thing, out var bit))
        {
            bit = 1UL << (_bits.Count % Bits);
            if (_bits.Count >= Bits) Shared |= bit;
            _bits.Add(thing, bit);
        }

        recent = (thing, bit);
        return bit;
    }
}

/// <summary>What a transition touched, as far as others can conflict with it.</summary>
internal readonly ref struct TouchedThings(ulong touched, ulong written, ReadOnlySpan<Access> accesses)
{
    private readonly ulong _touched = touched, _written = written;
    private readonly ReadOnlySpan<Access> _accesses = accesses;

    /// <summary>True when one of the two writes what the other touches.</summary>
    public bool ConflictWith(TouchedThings other, ThingBits bits)
    {
        var common = (_written & other._touched) | (other._written & _touched);
        if (common == 0) return false;
        if ((common & ~bits.Shared) != 0) return true;
        foreach (var a in _accesses)
        {
            if (a.Kind > AccessKind.Write) continue;
            foreach (var b in other._accesses)
                if (a.Thing == b.Thing && b.Kind <= AccessKind.Write && (a.Kind == AccessKind.Write || b.Kind == AccessKind.Write)) return true;
        }

        return false;
    }
}
