namespace LivePatchLab.Machine.Tests;

/// <summary>Numbers from a seed, for tests that try many cases; the seed goes into the message of a failure.</summary>
internal sealed class Draw(ulong seed)
{
    private readonly SeededChoices _choices = new(new Seed(seed));

    public int Below(int limit) => limit < 2 ? 0 : _choices.Choose(ChoicePoint.Workload, limit);

    public bool OneIn(int n) => Below(n) == 0;

    public T Of<T>(params ReadOnlySpan<T> alternatives) => alternatives[Below(alternatives.Length)];

    public ulong Bits64() => ((ulong)(uint)Below(1 << 22) << 42) ^ ((ulong)(uint)Below(1 << 22) << 21) ^ (uint)Below(1 << 22);

    /// <summary>A number of the kinds at which arithmetic goes wrong: small, all ones, sign bits, few bits, anything.</summary>
    public ulong Interesting() => Below(8) switch
    {
        0 => (ulong)Below(4),
        1 => ulong.MaxValue - (ulong)Below(3),
        2 => (1UL << Of(7, 8, 15, 16, 31, 32, 63)) - (ulong)Below(2),
        3 => 1UL << Below(64),
        4 => (ulong)(sbyte)Below(256),
        5 => (uint)Bits64(),
        _ => Bits64(),
    };

    public byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        for (var i = 0; i < count; i++) bytes[i] = (byte)Below(256);
        return bytes;
    }
}
