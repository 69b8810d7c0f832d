using Iced.Intel;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using Decoder = Iced.Intel.Decoder;

namespace LivePatchLab.Experiments;

/// <summary>Instructions in the kernel's own notation (AT&amp;T, as objdump prints it), with the names of the text they are in.</summary>
public sealed class InstructionText(TracedText text)
{
    private readonly GasFormatter _formatter = new(new Names(text));

    /// <summary>The instruction that these bytes are, at that address; "(bad)" where they are none.</summary>
    public string Of(GuestAddress address, ReadOnlySpan<byte> bytes)
    {
        var decoder = Decoder.Create(64, bytes.ToArray(), address.Value);
        var instruction = decoder.Decode();
        if (instruction.IsInvalid) return "(bad)";
        var output = new StringOutput();
        _formatter.Format(in instruction, output);
        return output.ToStringAndReset();
    }

    private sealed class Names(TracedText text) : ISymbolResolver
    {
        public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
        {
            symbol = new(address, "ftrace_caller");
            return address == text.FtraceCaller.Value;
        }
    }
}
