using System.Globalization;
using System.Text;
using LivePatchLab.Linux;

namespace LivePatchLab.Machine.Tests;

/// <summary>One of the lab's guests, compiled C, on as many CPUs as it is made for.</summary>
internal sealed class GuestScene : LockStepScene
{
    private const int Kernels = 9;

    private readonly UserProgram _program;
    private readonly MemoryStream _output = new();
    private readonly MemoryStream _errors = new();

    public GuestScene(ulong seed, TestedEngine engine, long translationBytesMax = CodeRegion.SlotBytes) : base(seed)
    {
        (string guest, string[] arguments) = Draw.Below(Kernels + 3) switch
        {
            Kernels => ("locks", [Number(500 + Draw.Below(4000))]),
            Kernels + 1 => ("sites", [Number(2000 + Draw.Below(4000))]),
            Kernels + 2 => ("faults", [Draw.Of("ud", "de", "pf", "gp", "bp")]),
            var kernel => ("kernels", (string[])[Number(kernel), Number(200 + Draw.Below(2000))]),
        };
        var cpus = guest is "locks" or "sites" ? Draw.Of(1, 2, 4, 16) : 1;
        var quantum = Draw.Of(1, 10, 200, 1_000, 20_000, 100_000);
        Machine = new(new() { Cpus = cpus, QuantumCyclesMax = quantum, Choices = new SeededChoices(new(seed)), Engine = engine.Kind, Host = engine.Host, TranslationBytesMax = translationBytesMax, HotInstructions = SoonHot });
        _program = new(Machine, ProgramImage.Open(LabFolder.Guest(guest)), arguments, _output, _errors);
        Description = $"{guest} {string.Join(' ', arguments)} on {cpus} CPUs, quantum {quantum}";
    }

    public override SmpMachine Machine { get; }

    public override string Description { get; }

    public override bool IsOver => _program.End is not null;

    public override string Output => Encoding.UTF8.GetString(_output.ToArray()) + _program.End;

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
