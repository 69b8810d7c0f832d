using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>A few instructions with the state before them, for one slot of the host and for the machine.</summary>
internal sealed class OracleCase(HostProcessor host, int slot)
{
    public int Slot => slot;

    public GuestAddress Code { get; } = host.CodeAt(slot);

    /// <summary>The middle of the bytes that memory operands may touch.</summary>
    public GuestAddress Data { get; } = host.DataAt(slot);

    public GuestAddress StackEnd { get; } = host.StackEndAt(slot);

    public ulong GsBase => host.GsBase;

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

    /// <summary>Puts a word where an instruction will find it, in the data or on the stack.</summary>
    public void Place(ulong address, ulong value)
    {
        var data = (long)(address - (Data.Value - (HostProcessor.WindowBytes / 2)));
        var stack = (long)(address - (host.StackEndAt(slot).Value - HostProcessor.StackWindowBytes));
        if (data is >= 0 and <= HostProcessor.WindowBytes - 8) BitConverter.TryWriteBytes(DataBytes.AsSpan((int)data), value);
        else BitConverter.TryWriteBytes(StackBytes.AsSpan((int)stack), value);
    }

    /// <summary>All that it takes to run it again by hand.</summary>
    public override string ToString()
        => $"{Convert.ToHexString([.. Bytes])} at {Code}: {string.Join("; ", Instructions)} | registers {string.Join(' ', Registers.Select(r => r.ToString("x")))} flags {Flags:x}";
}
