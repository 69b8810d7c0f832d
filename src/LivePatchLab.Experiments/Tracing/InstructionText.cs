using Iced.Intel;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using Decoder = Iced.Intel.Decoder;

namespace LivePatchLab.Experiments;

/// <summary>Instructions in the kernel's own notation (AT&amp;T, as objdump prints it), with the names of the text they are in.</summary>
internal sealed class InstructionText
{
    private readonly GasFormatter _formatter;
    private readonly Names _names;

    public InstructionText(TracedText text)
    {
        _names = new(text);
        _formatter = new(_names);
        _formatter.Options.UppercaseHex = false;
    }

    /// <summary>The instruction that begins these bytes at that address, and its bytes; all of them, and "(bad)", where it is none.</summary>
    public (byte[] Bytes, string Text) Of(GuestAddress address, byte[] bytes)
    {
        var instruction = Decoder.Create(64, bytes, address.Value).Decode();
        if (instruction.IsInvalid) return (bytes, "(bad)");
        var output = new StringOutput();
        _formatter.Format(in instruction, output);
        return (bytes[..instruction.Length], output.ToStringAndReset());
    }

    /// <summary>The name of the function that begins at an address, or null.</summary>
    public string? LabelOf(GuestAddress address) => _names.LabelOf(address);

    /// <summary>The address of a function of a text that the lab has made, or null.</summary>
    public GuestAddress? Find(string name) => _names.Find(name);

    private sealed class Names(TracedText text) : ISymbolResolver
    {
        private readonly Dictionary<ulong, string> _names = text.Functions.Select((function, i) => (function.Value, Name: $"function_{i}"))
            .Append((text.FtraceCaller.Value, "ftrace_caller")).ToDictionary(each => each.Value, each => each.Item2);

        public string? LabelOf(GuestAddress address)
            => text is KernelText kernel && kernel.Image.Symbols.HasSymbolAt(address) ? kernel.Image.Symbols.NameOf(address) : _names.GetValueOrDefault(address.Value);

        public GuestAddress? Find(string name) => _names.FirstOrDefault(each => each.Value == name) is { Value: not null } found ? new(found.Key) : null;

        public bool TryGetSymbol(in Instruction instruction, int operand, int instructionOperand, ulong address, int addressSize, out SymbolResult symbol)
        {
            var name = text is KernelText kernel && kernel.Image.IsInText(new(address)) ? kernel.Image.Symbols.NameOf(new(address)) : _names.GetValueOrDefault(address);
            symbol = new(address, name ?? "");
            return name is not null;
        }
    }
}
