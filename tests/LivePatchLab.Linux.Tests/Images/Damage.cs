using FsCheck;
using FsCheck.Fluent;

namespace LivePatchLab.Linux.Tests;

/// <summary>What happens to files: some bytes change, or the end is missing.</summary>
public sealed record Damage((int Position, byte Value)[] Changes, int? Length)
{
    public byte[] To(byte[] original)
    {
        var bytes = original[..(Length is { } length ? length % (original.Length + 1) : original.Length)];
        foreach (var (position, value) in Changes)
            if (bytes.Length > 0) bytes[position % bytes.Length] = value;
        return bytes;
    }

    public override string ToString() => $"{string.Join(' ', Changes.Select(change => $"[{change.Position}]={change.Value:x2}"))} length {Length?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "kept"}";

    /// <summary>Headers decide most, so that half of the changes are in the first bytes; values that are limits come more often.</summary>
    public static Arbitrary<Damage> Of(int bytes)
    {
        var position = Gen.OneOf(Gen.Choose(0, Math.Min(1023, bytes - 1)), Gen.Choose(0, bytes - 1));
        var value = Gen.OneOf(Gen.Elements<byte>(0, 1, 0x7f, 0x80, 0xff), Gen.Choose(0, 255).Select(number => (byte)number));
        var change = position.SelectMany(at => value.Select(to => (at, to)));
        var length = Gen.Frequency((3, Gen.Constant<int?>(null)), (1, Gen.Choose(0, bytes).Select(number => (int?)number)));
        var damage = Gen.Choose(1, 6).SelectMany(count => Gen.ArrayOf(change, count)).SelectMany(changes => length.Select(end => new Damage(changes, end)));
        return damage.ToArbitrary();
    }

    /// <summary>Whatever the damage, the action comes to an end or says in one line what is wrong.</summary>
    public static void NeverSurprises(byte[] original, int cases, Action<byte[]> use)
    {
        var rejected = 0;
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(cases), Prop.ForAll(Of(original.Length), damage =>
        {
            try
            {
                use(damage.To(original));
            }
            catch (Exception e) when (e is BadInputException or UnsupportedInputException)
            {
                e.Message.ShouldNotContain('\n');
                rejected++;
            }

            return true;
        }));
        rejected.ShouldBeGreaterThan(0, "no damage was ever noticed, so this test tries nothing");
    }
}
