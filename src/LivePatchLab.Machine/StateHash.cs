using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>A fingerprint of a whole machine: registers, clocks, and every byte of memory. Equal runs have equal fingerprints.</summary>
public readonly record struct StateHash(ulong Value)
{
    public override string ToString() => Value.ToString("x16", CultureInfo.InvariantCulture);
}

/// <summary>
/// Folds 64-bit words into a <see cref="StateHash"/>: multiply, rotate, and the mixer of SplitMix64 at the end. It has to tell
/// accidental differences apart, fast and alike on every host; it does not have to withstand an adversary.
/// </summary>
internal struct StateHasher
{
    private const ulong Multiplier = 0x9e3779b97f4a7c15UL;
    private ulong _state;

    public void Add(ulong word) => _state = BitOperations.RotateLeft((_state ^ word) * Multiplier, 29);

    public void Add(long word) => Add((ulong)word);

    /// <summary>Adds a page, by its address, where it holds anything but zeros; so mapping a page changes nothing.</summary>
    public void AddPage(ulong address, ReadOnlySpan<byte> page)
    {
        if (page.IndexOfAnyExcept((byte)0) < 0) return;
        var words = MemoryMarshal.Cast<byte, ulong>(page);
        ulong a = address, b = 1, c = 2, d = 3;
        for (var i = 0; i < words.Length; i += 4)
        {
            a = BitOperations.RotateLeft((a ^ words[i]) * Multiplier, 29);
            b = BitOperations.RotateLeft((b ^ words[i + 1]) * Multiplier, 29);
            c = BitOperations.RotateLeft((c ^ words[i + 2]) * Multiplier, 29);
            d = BitOperations.RotateLeft((d ^ words[i + 3]) * Multiplier, 29);
        }

        Add(a);
        Add(b);
        Add(c);
        Add(d);
    }

    public readonly StateHash Result => new(SeededChoices.Mix(_state));
}
