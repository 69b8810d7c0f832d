using System.Globalization;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>Instructions in the kernel's own notation (AT&amp;T, as objdump prints it), with the names of the code that they are in.</summary>
public sealed class InstructionText
{
    /// <summary>The longest instruction (SDM volume 2, 2.3.11).</summary>
    public const int BytesMax = 15;

    private readonly GasFormatter _formatter;

    /// <param name="names">Where operands get their names from; null for numbers alone.</param>
    public InstructionText(ICodeMap? names)
    {
        _formatter = new(names is null ? null : new Names(names));
        _formatter.Options.UppercaseHex = false;
    }

    /// <summary>The instruction that begins these bytes at that address, and its bytes; all of them, and "(bad)", where it is none.</summary>
    public (byte[] Bytes, string Text) Of(GuestAddress address, byte[] bytes)
    {
        var instruction = Iced.Intel.Decoder.Create(64, bytes, address.Value).Decode();
        if (instruction.IsInvalid) return (bytes, "(bad)");
        var output = new StringOutput();
        _formatter.Format(in instruction, output);
        return (bytes[..instruction.Length], output.ToStringAndReset());
    }

    /// <summary>The instruction that memory holds at an address, whatever the CPUs may still be given there; null where nothing is mapped.</summary>
    public (byte[] Bytes, string Text)? At(GuestMemory memory, GuestAddress address)
    {
        var length = BytesMax;
        while (length > 0 && !memory.IsMapped(address, length)) length--;
        return length > 0 ? Of(address, memory.Read(address, length)) : null;
    }

    /// <summary>Bytes as listings show them: two digits each, with spaces.</summary>
    public static string Hex(ReadOnlySpan<byte> bytes) => string.Join(' ', bytes.ToArray().Select(b => b.ToString("x2", CultureInfo.InvariantCulture)));

    private sealed class Names(ICodeMap map) : ISymbolResolver
    {
        public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
        {
            var name = map.NameOf(new(address));
            symbol = new(address, name ?? "");
            return name is not null;
        }
    }
}
