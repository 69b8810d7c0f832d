using System.Buffers.Binary;
using System.Numerics;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>All of ftrace's records, in the order of their addresses, and the code that belongs at each.</summary>
public sealed class FtraceRecords
{
    /// <summary>MCOUNT_INSN_SIZE: both the nop and the call are five bytes.</summary>
    public const int McountInsnSize = FtraceSite.Length;

    private readonly ulong[] _addresses;

    /// <param name="sites">The sites; need not be sorted.</param>
    /// <param name="tracer">What an enabled site calls: ftrace_caller.</param>
    public FtraceRecords(IEnumerable<GuestAddress> sites, GuestAddress tracer)
    {
        Tracer = tracer;
        Records = [.. sites.Order().Select(s => new DynFtrace(s))];
        _addresses = [.. Records.Select(r => r.Ip.Value)];
        foreach (var record in Records)
        {
            var distance = tracer - (record.Ip + McountInsnSize);
            if (distance != (int)distance) throw new ArgumentException($"the tracer at {tracer} is out of the reach of a call at {record.Ip}", nameof(tracer));
        }
    }

    public IReadOnlyList<DynFtrace> Records { get; }

    public GuestAddress Tracer { get; }

    /// <summary>How many comparisons a look-up takes.</summary>
    public int LookupComparisons => Records.Count < 2 ? 1 : BitOperations.Log2((uint)Records.Count - 1) + 1;

    /// <summary>ftrace_location(): the record at an address, or null.</summary>
    public DynFtrace? FtraceLocation(GuestAddress ip)
    {
        var at = Array.BinarySearch(_addresses, ip.Value);
        return at >= 0 ? Records[at] : null;
    }

    /// <summary>ftrace_nop_replace()</summary>
    public static byte[] NopReplace() => [.. SyntheticBodies.Nop5];

    /// <summary>ftrace_call_replace(): the call from a site to the tracer.</summary>
    public byte[] CallReplace(GuestAddress ip)
    {
        var call = new byte[McountInsnSize];
        call[0] = 0xe8;
        BinaryPrimitives.WriteInt32LittleEndian(call.AsSpan(1), checked((int)(Tracer - (ip + McountInsnSize))));
        return call;
    }
}
