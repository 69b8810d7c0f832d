using System.Numerics;

namespace LivePatchLab.Machine;

/// <summary>
/// Chance from a seed: xoshiro256** (Blackman and Vigna, 2018) filled by SplitMix64. Written here, in integers only,
/// because a run must come out the same on every runtime and processor, which <c>System.Random</c> does not promise.
/// </summary>
public sealed class SeededChoices : IChoiceSource
{
    private ulong _s0, _s1, _s2, _s3;

    public SeededChoices(Seed seed) => Restart(seed);

    /// <summary>Begins anew, as if made with this seed.</summary>
    public void Restart(Seed seed)
    {
        var state = seed.Value;
        _s0 = Mix(state += 0x9e3779b97f4a7c15UL);
        _s1 = Mix(state += 0x9e3779b97f4a7c15UL);
        _s2 = Mix(state += 0x9e3779b97f4a7c15UL);
        _s3 = Mix(state + 0x9e3779b97f4a7c15UL);
    }

    public int Choose(ChoicePoint point, int alternatives)
    {
        // Lemire's multiply-shift; its bias, below 2^-32, is no concern of a schedule.
        return (int)(((Next() >> 32) * (ulong)alternatives) >> 32);
    }

    private ulong Next()
    {
        var result = BitOperations.RotateLeft(_s1 * 5, 7) * 9;
        var t = _s1 << 17;
        _s2 ^= _s0;
        _s3 ^= _s1;
        _s1 ^= _s2;
        _s0 ^= _s3;
        _s2 ^= t;
        _s3 = BitOperations.RotateLeft(_s3, 45);
        return result;
    }

    /// <summary>The output function of SplitMix64: a bijection of 64 bits in which every input bit moves every output bit.</summary>
    internal static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
        return z ^ (z >> 31);
    }
}
