using System.Globalization;

namespace LivePatchLab.Machine;

/// <summary>The number that all chance of a run is drawn from: same seed, same run.</summary>
public readonly record struct Seed(ulong Value)
{
    /// <summary>A seed for the <paramref name="index"/>-th of many runs, unrelated to its neighbours.</summary>
    public Seed Derive(ulong index) => new(SeededChoices.Mix(Value + (0x9e3779b97f4a7c15UL * (index + 1))));

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}
