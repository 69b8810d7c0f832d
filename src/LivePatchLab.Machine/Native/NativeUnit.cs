namespace LivePatchLab.Machine;

/// <summary>Where a guest instruction of translated code may fault, and what the host's registers then mean.</summary>
/// <param name="Offset">Of its host code, from the start of the stretch.</param>
/// <param name="Rip">The guest's address of it.</param>
/// <param name="Refund">Instructions that have been paid for and not been retired, itself included; less than 0 where some are retired and not paid for.</param>
/// <param name="Borrowed">The register whose value is in <see cref="NativeFrame.Borrowed"/>, or -1.</param>
/// <param name="StackStep">What the guest's RSP is beyond the host's register for it.</param>
/// <param name="Zeroed">The guest's flags that are 0, though the host's may not be.</param>
internal readonly record struct FaultPoint(int Offset, ulong Rip, int Refund, int Borrowed, int StackStep, ZeroedFlags Zeroed);

/// <summary>A stretch of host code, its points where it may fault, in ascending order, and which of the guest's registers are then in others of the host's.</summary>
internal sealed class NativeCode(nint start, nint end, FaultPoint[] faults, (int Register, int Host)[] homes)
{
    public ReadOnlySpan<(int Register, int Host)> Homes => homes;

    public nint Start => start;

    public nint End => end;

    public FaultPoint PointOf(nint address)
    {
        var offset = (int)(address - start);
        var (low, high) = (0, faults.Length - 1);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (faults[middle].Offset <= offset) low = middle;
            else high = middle - 1;
        }

        return faults[low];
    }
}

/// <summary>A jump of translated code that leads to a unit, and where it leads without it.</summary>
internal readonly record struct NativeLink(nint Jump, nint Stub);

/// <summary>One trace, translated. Live while memory holds its bytes and no line of it is dirty; kept when it is not.</summary>
internal sealed class NativeUnit(ulong rip, (ulong Start, int Length)[] segments, byte[] bytes, bool isCutShort)
{
    public ulong Rip => rip;

    public (ulong Start, int Length)[] Segments => segments;

    /// <summary>The bytes of the segments, one behind the other.</summary>
    public byte[] Bytes => bytes;

    public bool IsCutShort => isCutShort;

    /// <summary>True where an instruction of it begins at the address, or might.</summary>
    public bool Holds(ulong address)
    {
        foreach (var (start, length) in segments)
            if (address >= start && address < start + (ulong)length) return true;
        return false;
    }

    public bool IsLive { get; set; }

    /// <summary>Instructions of it.</summary>
    public int Count { get; init; }

    /// <summary>Where its instructions are taken off the budget, some at a time: the first behind less than <see cref="UnitTranslator.Slack"/> of them.</summary>
    public ulong[] PaidAt { get; init; } = [];

    /// <summary>The entry of direct jumps, and of the machine: with the slack at least.</summary>
    public nint Entry { get; init; }

    /// <summary>Its jumps to its own start, and where that is: behind what the entry exchanges.</summary>
    public NativeLink[] Rounds { get; init; } = [];

    public nint RoundEntry { get; init; }

    /// <summary>The entry of indirect jumps, which asks whether this is where they want to go.</summary>
    public nint IndirectEntry { get; init; }

    /// <summary>Where the straight code begins whose precise form has been made, or cannot be.</summary>
    public List<ulong> PreciseStarts { get; } = [];

    /// <summary>The form in which a CPU can stop and begin anywhere: the entry of each instruction.</summary>
    public List<(ulong Rip, nint Entry)> Precise { get; } = [];

    /// <summary>The ways of indirect jumps into that, which ask whether this is where they want to go.</summary>
    public List<(ulong Rip, nint Entry)> IndirectPrecise { get; } = [];

    public List<NativeLink> Incoming { get; } = [];
}
