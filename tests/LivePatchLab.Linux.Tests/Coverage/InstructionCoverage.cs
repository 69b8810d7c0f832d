using System.Globalization;
using Iced.Intel;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

/// <summary>
/// What of a kernel's code the machine can execute: the functions of .text are decoded one after another, each from its symbol to the
/// next, and every instruction is asked for at the same table that the machine decodes with.
/// </summary>
internal sealed unsafe class InstructionCoverage
{
    private readonly SortedDictionary<string, (string Family, bool Implemented, long Count)> _byCode = new(StringComparer.Ordinal);
    private readonly OpBuilder _builder = new();

    public InstructionCoverage(KernelImage image)
    {
        Release = image.Release;
        foreach (var start in image.Symbols.All.Select(symbol => symbol.Address).Where(image.IsInText).Distinct())
        {
            var end = image.Symbols.NextAfter(start) ?? start;
            if (!image.IsInText(end - 1) || !image.Elf.TryBytesAt(start, (int)(end - start), out var bytes)) continue;
            Count(bytes.ToArray(), start.Value);
            Functions++;
        }
    }

    public string Release { get; }

    public long Functions { get; private set; }

    public long Instances { get; private set; }

    public long Implemented { get; private set; }

    /// <summary>Bytes that are no instruction at all: data, or the tail of a function that ends in the middle of padding.</summary>
    public long Undecodable { get; private set; }

    /// <summary>Of the others, those that need no feature which CPUID would have to offer.</summary>
    public long MissingFromBase { get; private set; }

    public double Share => (double)Implemented / Instances;

    public string Markdown()
    {
        var text = new System.Text.StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            # Instruction coverage

            What the machine executes of the `.text` of Linux {Release}: its {Functions:N0} symbols decoded one after another, `int3`
            padding not counted. Made by `InstructionCoverageTests` of `tests/LivePatchLab.Linux.Tests`, which compares this file with the
            kernel again wherever that kernel is at hand.

            **{Implemented:N0} of {Instances:N0} instructions ({Percent(Implemented)}) are implemented**, in {Codes(true)} encodings; {Codes(false)} more
            occur and are #UD. All but {MissingFromBase:N0} of their occurrences belong to features that CPUID does not offer, where #UD is what a processor
            without them does, and where a kernel that asks CPUID does not come. {Undecodable:N0} places are no instruction at all.

            ## Not implemented

            | Encoding | Belongs to | Why not | Occurrences | Share |
            | --- | --- | --- | ---: | ---: |
            """);
        Rows(text, implemented: false);
        text.Append("\n## Implemented, by family\n\n| Family | Encodings | Occurrences | Share |\n| --- | ---: | ---: | ---: |\n");
        var families = _byCode.Values.Where(code => code.Implemented).GroupBy(code => code.Family)
            .Select(group => (Family: group.Key, Encodings: group.Count(), Count: group.Sum(code => code.Count)));
        foreach (var (family, encodings, count) in families.OrderByDescending(row => row.Count).ThenBy(row => row.Family, StringComparer.Ordinal))
            text.Append(CultureInfo.InvariantCulture, $"| {family} | {encodings} | {count:N0} | {Percent(count)} |\n");
        text.Append("\n## Implemented, the 200 commonest encodings\n\n").Append(TableHead).Append('\n');
        Rows(text, implemented: true);
        return text.ToString();
    }

    // What CPUID does offer, or cannot be asked about.
    private static readonly Dictionary<string, string> Reasons = new()
    {
        [nameof(Code.Sysretd)] = "returns to 32-bit code, which the machine does not execute",
    };

    private const int MostRows = 200;

    private const string TableHead = "| Encoding | Family | Occurrences | Share |\n| --- | --- | ---: | ---: |";

    private void Rows(System.Text.StringBuilder text, bool implemented)
    {
        if (text[^1] != '\n') text.Append('\n');
        foreach (var (code, row) in _byCode.Where(row => row.Value.Implemented == implemented).OrderByDescending(row => row.Value.Count).ThenBy(row => row.Key, StringComparer.Ordinal).Take(MostRows))
            text.Append(CultureInfo.InvariantCulture, $"| {code} | {row.Family} | {(implemented ? "" : WhyNot(code) + " | ")}{row.Count:N0} | {Percent(row.Count)} |\n");
    }

    private static string WhyNot(string code) => Reasons.GetValueOrDefault(code, "CPUID does not offer it");

    private int Codes(bool implemented) => _byCode.Values.Count(code => code.Implemented == implemented);

    private string Percent(long count) => (100.0 * count / Instances).ToString("0.0000", CultureInfo.InvariantCulture) + " %";

    private void Count(byte[] bytes, ulong address)
    {
        var decoder = Decoder.Create(64, bytes, address);
        while (decoder.IP < address + (ulong)bytes.Length)
        {
            decoder.Decode(out var instruction);
            if (instruction.Code == Code.Int3) continue;
            if (instruction.IsInvalid)
            {
                Undecodable++;
                continue;
            }

            Add(instruction);
        }
    }

    private void Add(in Instruction instruction)
    {
        var family = InstructionTable.Of(instruction);

        // UD2 is implemented where it is meant; what only falls back on it is not.
        var isImplemented = (family is not UndefinedInstruction || family.Mnemonics.Contains(instruction.Mnemonic)) && Builds(family, instruction);
        var name = instruction.Code + (isImplemented || family is UndefinedInstruction ? "" : " (this form)");
        Instances++;
        if (isImplemented) Implemented++;
        var belongsTo = isImplemented ? family.GetType().Name : string.Join(' ', instruction.CpuidFeatures);
        if (!isImplemented && (Reasons.ContainsKey(name) || instruction.CpuidFeatures.All(IsOfEveryProcessor))) MissingFromBase++;
        _byCode[name] = (belongsTo, isImplemented, _byCode.GetValueOrDefault(name).Count + 1);
    }

    private static bool IsOfEveryProcessor(CpuidFeature feature) => feature is >= CpuidFeature.INTEL8086 and <= CpuidFeature.X64;

    private bool Builds(InstructionFamily family, in Instruction instruction)
    {
        Op op;
        _builder.Begin(instruction, &op, remaining: 1, careful: true, FlagLiveness.Status);
        return family.TryBuild(_builder);
    }
}
