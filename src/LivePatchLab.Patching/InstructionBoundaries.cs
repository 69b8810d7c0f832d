using Iced.Intel;

namespace LivePatchLab.Patching;

/// <summary>
/// Where the instructions of a piece of code begin, as a disassembler lists them from its first byte on: each begins where the one before it ends. What is
/// no instruction, or does not end within the code, counts as one piece up to the end.
/// </summary>
public sealed class InstructionBoundaries
{
    /// <summary>For each byte the length of the instruction that begins there, or 0.</summary>
    private readonly byte[] _lengths;
    private readonly bool[] _areCalls;

    private InstructionBoundaries(byte[] lengths, bool[] areCalls, int count)
    {
        (_lengths, _areCalls) = (lengths, areCalls);
        Count = count;
    }

    /// <summary>How many instructions there are.</summary>
    public int Count { get; }

    /// <summary>The boundaries of code for 64-bit mode.</summary>
    /// <param name="code">At most 255 bytes.</param>
    public static InstructionBoundaries Of(byte[] code)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(code.Length, byte.MaxValue);
        var (lengths, areCalls, count) = (new byte[code.Length], new bool[code.Length], 0);
        var decoder = Decoder.Create(64, code);
        for (var at = 0; at < code.Length; count++)
        {
            var instruction = decoder.Decode();
            lengths[at] = (byte)(instruction.IsInvalid ? code.Length - at : instruction.Length);
            areCalls[at] = instruction.FlowControl is FlowControl.Call or FlowControl.IndirectCall;
            at += lengths[at];
        }

        return new(lengths, areCalls, count);
    }

    /// <summary>The length of the instruction that begins at a byte; 0 where none does, and outside the code.</summary>
    public int LengthAt(int offset) => (uint)offset < (uint)_lengths.Length ? _lengths[offset] : 0;

    /// <summary>True where a call begins, which comes back to what is behind it.</summary>
    public bool IsCallAt(int offset) => (uint)offset < (uint)_areCalls.Length && _areCalls[offset];
}
