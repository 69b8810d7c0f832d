using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>A few instructions with the state before them, for one slot of the host and for the machine.</summary>
internal sealed class OracleCase(int slot)
{
    public int Slot => slot;

    public GuestAddress Code { get; } = HostProcessor.CodeAt(slot);

    /// <summary>The middle of the bytes that memory operands may touch.</summary>
    public GuestAddress Data { get; } = HostProcessor.DataAt(slot);

    public GuestAddress StackEnd { get; } = HostProcessor.StackEndAt(slot);

    public ulong[] Registers { get; } = new ulong[16];

    public uint Flags { get; set; }

    public byte[] DataBytes { get; } = new byte[HostProcessor.WindowBytes];

    public byte[] StackBytes { get; } = new byte[HostProcessor.StackWindowBytes];

    public List<byte> Bytes { get; } = [];

    public List<Instruction> Instructions { get; } = [];

    /// <summary>Flags that the SDM leaves undefined at the end.</summary>
    public RflagsBits Undefined { get; set; }

    public void Append(in Instruction instruction, ReadOnlySpan<byte> bytes)
    {
        Instructions.Add(instruction);
        Bytes.AddRange(bytes);
    }

    /// <summary>Where the memory operand of a single instruction is.</summary>
    public ulong OperandAddress { get; set; }

    /// <summary>Puts a word where an instruction will find it, in the data or on the stack.</summary>
    public void Place(ulong address, ulong value)
    {
        if (BitConverter.TryWriteBytes(BytesAt(address), value)) return;
        throw new ArgumentException($"{address:x} is too near the end of the case's memory", nameof(address));
    }

    /// <summary>The word at an address, as far as there are bytes of it.</summary>
    public ulong WordAt(ulong address)
    {
        var bytes = BytesAt(address);
        var word = 0UL;
        for (var i = Math.Min(bytes.Length, 8) - 1; i >= 0; i--) word = (word << 8) | bytes[i];
        return word;
    }

    private Span<byte> BytesAt(ulong address)
    {
        var data = (long)(address - (Data.Value - (HostProcessor.WindowBytes / 2)));
        var stack = (long)(address - (StackEnd.Value - HostProcessor.StackWindowBytes));
        return data is >= 0 and < HostProcessor.WindowBytes ? DataBytes.AsSpan((int)data) : StackBytes.AsSpan((int)stack);
    }

    /// <summary>All that it takes to run it again by hand.</summary>
    public override string ToString()
        => $"{Convert.ToHexString([.. Bytes])} at {Code}: {string.Join("; ", Instructions)} | registers {string.Join(' ', Registers.Select(r => r.ToString("x")))} flags {Flags:x}";
}
