using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>The three forms in which the machine executes code.</summary>
[Flags]
internal enum ExecutionForms
{
    /// <summary>Whole blocks: flags only where they are seen, comparisons fused with their branches.</summary>
    Fast = 1,

    /// <summary>Stopping after every instruction.</summary>
    Precise = 2,

    /// <summary>Each instruction fetched and run alone, as in a dirty line.</summary>
    Single = 4,

    All = Fast | Precise | Single,
}

/// <summary>
/// Runs cases on the host's processor and in the machine, and says where the two differ. The host is given what the machine has run to the end,
/// without a fault; where the host refuses it, that is a difference too, unless manuals or kernels permit it (<see cref="PermittedRefusals"/>).
/// </summary>
internal sealed unsafe class Oracle : IDisposable
{
    private const int BatchesPerMachine = 8;

    private readonly HostProcessor _host = new();
    private readonly HashSet<Code> _covered = [];
    private readonly List<OracleCase> _batch = [];
    private readonly List<MachineOutcome> _outcomes = [];
    private TestMachine? _machine;
    private int _batches;

    public HostProcessor Host => _host;

    public long Cases { get; private set; }

    /// <summary>Cases that ended in #DE and were not given to the host: arithmetic says whether they had to.</summary>
    public long DivideErrors { get; private set; }

    /// <summary>For the control: what is done to each outcome before it is compared.</summary>
    public Action<MachineOutcome>? BeforeComparison { get; set; }

    /// <summary>For the control: what is done to the host before it runs a batch.</summary>
    public Action<HostProcessor>? BeforeHost { get; set; }

    /// <summary>Codes that this processor refuses and may refuse, each with one of the signals that said so.</summary>
    public Dictionary<Code, TrialEnd> Refused { get; } = [];

    public IReadOnlySet<Code> Covered => _covered;

    /// <summary>Runs <paramref name="count"/> cases; gives the first difference, or null.</summary>
    /// <param name="count">How many.</param>
    /// <param name="make">Makes a case for a slot; null for none.</param>
    /// <param name="forms">In which forms the machine runs each.</param>
    public string? Run(int count, Func<int, OracleCase?> make, Func<ExecutionForms> forms)
    {
        while (count > 0)
        {
            _batch.Clear();
            for (var slot = 0; slot < Math.Min(count, HostProcessor.Slots); slot++)
                if (make(slot) is { } made) _batch.Add(made);
            count -= Math.Min(count, HostProcessor.Slots);
            if (RunBatch(forms) is { } difference) return difference;
        }

        return null;
    }

    /// <summary>Runs one program in both, and gives what it leaves in the first bytes of the data of all slots.</summary>
    public (byte[] Machine, byte[] Host) RunProgram(Action<Assembler> write, int bytes)
    {
        const long InstructionsMax = 1L << 32;
        var code = HostProcessor.CodeAt(0);
        var program = TestMachine.Assemble(code.Value, write);
        using var machine = NewMachine();
        machine.Code.Poke(code, [.. program, 0xcc]);
        machine.Cpu->UserMode = 1;
        machine.Cpu->Rip = code.Value;
        machine.Run(InstructionsMax);
        machine.Cpu->TrapVector.ShouldBe(Traps.Breakpoint);
        _host.Window(HostProcessor.DataStart, bytes).Clear();
        _host.Run(0, program);
        return (machine.Memory.Read(HostProcessor.DataStart, bytes), _host.Window(HostProcessor.DataStart, bytes).ToArray());
    }

    public void Dispose()
    {
        _machine?.Dispose();
        _host.Dispose();
    }

    private string? RunBatch(Func<ExecutionForms> forms)
    {
        if (_machine is null || _batches++ % BatchesPerMachine == 0)
        {
            _machine?.Dispose();
            _machine = NewMachine();
        }

        _outcomes.Clear();
        for (var slot = 0; slot < HostProcessor.Slots; slot++) _host.SetCode(slot, []);
        foreach (var oracleCase in _batch)
        {
            var chosen = forms();
            foreach (var form in (ReadOnlySpan<ExecutionForms>)[ExecutionForms.Fast, ExecutionForms.Precise, ExecutionForms.Single])
            {
                if ((chosen & form) == 0) continue;
                var outcome = MachineOutcome.Of(_machine, oracleCase, form);
                if (outcome.IsDivideError)
                {
                    DivideErrors++;
                    if (!DivisionReference.Overflows(oracleCase)) return $"{form}: #DE though the quotient fits: {oracleCase}";
                    break;
                }

                if (outcome.Surprise is { } surprise) return $"{form}: {surprise}: {oracleCase}";
                if (_outcomes.Count > 0 && _outcomes[^1].Case == oracleCase && outcome.DifferenceTo(_outcomes[^1]) is { } difference) return $"{form}: {difference}: {oracleCase}";
                _outcomes.Add(outcome);
                _host.SetCode(oracleCase.Slot, oracleCase.Bytes.ToArray());
            }

            LoadHost(oracleCase);
        }

        BeforeHost?.Invoke(_host);
        _host.Run();
        foreach (var outcome in _outcomes) BeforeComparison?.Invoke(outcome);
        foreach (var outcome in _outcomes)
        {
            if (_host.RefusalOf(outcome.Case.Slot) is { } refusal)
            {
                var code = CodeAt(outcome.Case, refusal.Rip);
                if (PermittedRefusals.ReasonFor(code) is null) return $"this processor refuses {code} ({refusal}): {outcome.Case}";
                Refused[code] = refusal;
            }
            else if (outcome.DifferenceTo(_host) is { } found) return $"{outcome.Form}: {found}: {outcome.Case}";
        }

        foreach (var oracleCase in _batch)
            foreach (var instruction in oracleCase.Instructions) _covered.Add(instruction.Code);
        Cases += _batch.Count;
        return null;
    }

    /// <summary>The instruction at which the host has stopped; the first where it is at none of them.</summary>
    private static Code CodeAt(OracleCase oracleCase, ulong rip)
        => (oracleCase.Instructions.FirstOrDefault(instruction => instruction.IP == rip) is { IsInvalid: false } found ? found : oracleCase.Instructions[0]).Code;

    private void LoadHost(OracleCase oracleCase)
    {
        _host.Load(oracleCase.Slot, oracleCase.Registers, oracleCase.Flags);
        oracleCase.DataBytes.CopyTo(_host.DataWindow(oracleCase.Slot));
        oracleCase.StackBytes.CopyTo(_host.StackWindow(oracleCase.Slot));
    }

    private TestMachine NewMachine()
    {
        var machine = new TestMachine();
        machine.Memory.Map(HostProcessor.CodeAt(0), HostProcessor.CodeAt(HostProcessor.Slots - 1) - HostProcessor.CodeAt(0) + HostProcessor.CodeBytesMax + 1, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(HostProcessor.DataStart - GuestMemory.PageBytes, HostProcessor.DataBytes + GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        machine.Memory.Map(HostProcessor.StackStart, HostProcessor.StackEndAt(HostProcessor.Slots - 1) - HostProcessor.StackStart + GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        return machine;
    }
}
