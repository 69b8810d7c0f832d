using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// One instruction's bytes, asked for one at a time and only as far as somebody needs them. What has been asked is kept, so that
/// comparing with known instructions first and decoding afterwards asks no byte twice.
/// </summary>
internal abstract class InstructionFetch : CodeReader
{
    public const int LongestInstruction = InstructionDecoder.LongestInstruction;

    private readonly byte[] _bytes = new byte[LongestInstruction];
    private readonly Decoder _decoder;
    private int _count;
    private int _position;
    private ulong _rip;

    protected InstructionFetch() => _decoder = InstructionDecoder.Create(this);

    /// <summary>True when a byte was needed that the CPU may not fetch.</summary>
    public bool IsStarved { get; private set; }

    /// <summary>Of the first byte that has not been fetched: of the fault, when starved.</summary>
    public ulong EndAddress => _rip + (ulong)_count;

    public ReadOnlySpan<byte> Fetched => _bytes.AsSpan(0, _count);

    public virtual void Begin(ulong rip)
    {
        _rip = rip;
        _count = 0;
        IsStarved = false;
    }

    /// <summary>
    /// True when the bytes are those of a whole known instruction. Encodings are prefix-free, so no byte is asked that the instruction
    /// standing there does not have, whatever instructions it is compared with.
    /// </summary>
    public bool Matches(ReadOnlySpan<byte> instruction)
    {
        for (var i = 0; i < instruction.Length; i++)
        {
            if (i == _count && !FetchNext()) return false;
            if (_bytes[i] != instruction[i]) return false;
        }

        return true;
    }

    /// <summary>Decodes; what it gives is meaningless when <see cref="IsStarved"/> afterwards.</summary>
    public void Decode(out Instruction instruction)
    {
        _position = 0;
        _decoder.IP = _rip;
        _decoder.Decode(out instruction);
        InstructionDecoder.NoteLength(ref instruction, _bytes.AsSpan(0, _position));
    }

    public override int ReadByte()
    {
        if (_position == _count && !FetchNext()) return -1;
        return _bytes[_position++];
    }

    /// <summary>The byte at <paramref name="index"/>, or -1 where the page cannot be executed.</summary>
    protected abstract int Fetch(int index);

    private bool FetchNext()
    {
        var value = IsStarved ? -1 : Fetch(_count);
        if (value < 0)
        {
            IsStarved = true;
            return false;
        }

        _bytes[_count++] = (byte)value;
        return true;
    }
}
