using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// Addresses of single instructions that have been translated with one content after the other, as a static call or a counted label has that is patched again and again.
/// A trace that went through one would be made anew for each content, whole; so traces end before them, and they are units of their own.
/// </summary>
/// <remarks>What has a few contents that alternate, as NOP and call of a site that is switched, is no such thing: the unit of each is found again.</remarks>
internal sealed unsafe class VolatileInstructions(GuestMemory memory)
{
    // With so many contents that have been seen in traces of their own, the next one is taken for a new one too.
    private const int ContentsKnown = 4;

    private readonly Dictionary<ulong, List<UInt128>> _contents = [];
    private readonly HashSet<ulong> _volatile = [];

    public bool Contains(ulong rip) => _volatile.Count != 0 && _volatile.Contains(rip);

    /// <summary>
    /// Notes the content of the one instruction in which a trace differs from what was translated at its address before. Where more differ, the code is another:
    /// the trace may well be the only one of its kind.
    /// </summary>
    public void Note(ReadOnlySpan<TraceInstruction> trace, NativeUnit before)
    {
        ulong changed = 0;
        var length = 0;
        var at = 0;
        foreach (var (start, bytes) in before.Segments)
        {
            var then = before.Bytes.AsSpan(at, bytes);
            var now = new ReadOnlySpan<byte>(memory.Origin + (long)start, bytes);
            at += bytes;
            for (var i = then.CommonPrefixLength(now); i < bytes; i += then[i..].CommonPrefixLength(now[i..]))
            {
                if (length == 0 && !TryFind(trace, start + (ulong)i, out changed, out length)) return;
                if (start + (ulong)i - changed >= (ulong)length) return;
                i = Math.Min(bytes, (int)(changed + (ulong)length - start));
            }
        }

        if (length > 0) Note(changed, length);
    }

    public void Clear()
    {
        _contents.Clear();
        _volatile.Clear();
    }

    private static bool TryFind(ReadOnlySpan<TraceInstruction> trace, ulong address, out ulong start, out int length)
    {
        foreach (ref readonly var entry in trace)
        {
            (start, length) = (entry.Instruction.IP, entry.Instruction.Length);
            if (address - start < (ulong)length) return true;
        }

        (start, length) = (0, 0);
        return false;
    }

    private void Note(ulong rip, int length)
    {
        UInt128 content = 0;
        for (var i = 0; i < length; i++) content = (content << 8) | memory.Origin[(long)rip + i];
        var contents = CollectionsMarshal.GetValueRefOrAddDefault(_contents, rip, out _) ??= [];
        if (contents.Contains(content)) return;
        contents.Add(content);
        if (contents.Count <= ContentsKnown) return;
        _volatile.Add(rip);
        _contents.Remove(rip);
    }
}
