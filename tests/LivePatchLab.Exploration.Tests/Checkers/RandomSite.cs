using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>Two codes of up to eight bytes, the stores that make the one of the other, and what a CPU may be given meanwhile, worked out without the lab.</summary>
internal sealed class RandomSite
{
    /// <summary>None of them does anything but count, and none goes elsewhere than on.</summary>
    private static readonly string[] Instructions = ["90", "6690", "0f1f00", "49ffc4", "49ffc5", "4d89c0", "eb00", "f8"];

    private readonly int _seed;
    private readonly List<(int Start, int End)> _stores = [];
    private readonly List<byte[]> _versions = [];

    public RandomSite(int seed)
    {
        _seed = seed;
        var random = new Random(seed);
        var length = random.Next(3, 9);
        (OldLengths, OldCode) = Draw(random, length);
        (NewLengths, NewCode) = Draw(random, length);
        var cuts = Enumerable.Range(1, length - 1).OrderBy(_ => random.Next()).Take(random.Next(0, 3)).Append(0).Append(length).Order().ToArray();
        _stores.AddRange(cuts.Zip(cuts.Skip(1)).OrderBy(_ => random.Next()));
        _versions.Add(OldCode);
        foreach (var (start, end) in _stores) _versions.Add([.. _versions[^1][..start], .. NewCode[start..end], .. _versions[^1][end..]]);
    }

    /// <summary>How long the instruction is that begins at a byte, as it was drawn.</summary>
    public IReadOnlyDictionary<int, int> OldLengths { get; }

    public IReadOnlyDictionary<int, int> NewLengths { get; }

    public byte[] OldCode { get; }

    public byte[] NewCode { get; }

    /// <summary>No version of it can hold a branch.</summary>
    public bool IsOneBlock => !_versions.Any(v => v.Contains((byte)0xeb));

    public IEnumerable<KernelStep> Store(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        => _stores.Select(part => kernel.TextPoke(sites[0].Address + part.Start, NewCode.AsMemory(part.Start, part.End - part.Start)));

    /// <summary>A CPU can be given what is neither an old instruction nor a new one.</summary>
    public bool IsTorn() => Passes(0, 0, [], _ => true).Any(pass => pass.IsTorn);

    /// <summary>A CPU can go through by whole instructions that are neither all old nor all new.</summary>
    public bool IsMixed() => Passes(0, 0, [], _ => true).Any(pass => pass.IsMixed);

    /// <summary>So can one that is given the same version all the way.</summary>
    public bool IsTornInOneVersion() => InOneVersion().Any(pass => pass.IsTorn);

    public bool IsMixedInOneVersion() => InOneVersion().Any(pass => pass.IsMixed);

    public override string ToString()
        => $"seed {_seed}: {Convert.ToHexStringLower(OldCode)} -> {Convert.ToHexStringLower(NewCode)} by {string.Join(", ", _stores.Select(s => $"[{s.Start}..{s.End})"))}";

    private static (Dictionary<int, int> Lengths, byte[] Code) Draw(Random random, int length)
    {
        var code = new List<byte>();
        var lengths = new Dictionary<int, int>();
        while (code.Count < length)
        {
            var fitting = Instructions.Where(i => i.Length / 2 <= length - code.Count).ToArray();
            var instruction = Convert.FromHexString(fitting[random.Next(fitting.Length)]);
            lengths.Add(code.Count, instruction.Length);
            code.AddRange(instruction);
        }

        return (lengths, [.. code]);
    }

    private IEnumerable<Pass> InOneVersion() => Enumerable.Range(0, _versions.Count).SelectMany(version => Passes(0, version, [], next => next == version));

    /// <summary>Every way through the site from a byte on, given that version or a later one. What is torn ends it, whatever the CPU does then.</summary>
    private IEnumerable<Pass> Passes(int at, int from, (bool Old, bool New)[] before, Func<int, bool> mayBeGiven)
    {
        if (at == OldCode.Length)
        {
            yield return new(IsTorn: false, IsMixed: !before.All(b => b.Old) && !before.All(b => b.New));
            yield break;
        }

        for (var version = from; version < _versions.Count; version++)
        {
            if (!mayBeGiven(version)) continue;
            var (isOld, isNew) = (Has(OldLengths, OldCode, at, version), Has(NewLengths, NewCode, at, version));
            if (!isOld && !isNew)
            {
                yield return new(IsTorn: true, IsMixed: false);
                continue;
            }

            foreach (var pass in Passes(at + (isOld ? OldLengths[at] : NewLengths[at]), version, [.. before, (isOld, isNew)], mayBeGiven)) yield return pass;
        }
    }

    private bool Has(IReadOnlyDictionary<int, int> lengths, byte[] code, int at, int version)
        => lengths.TryGetValue(at, out var length) && _versions[version].AsSpan(at, length).SequenceEqual(code.AsSpan(at, length));

    private readonly record struct Pass(bool IsTorn, bool IsMixed);
}
