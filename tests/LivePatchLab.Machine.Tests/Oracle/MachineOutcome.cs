namespace LivePatchLab.Machine.Tests;

/// <summary>What the machine made of a case in one of its forms.</summary>
internal sealed unsafe class MachineOutcome
{
    // Far more than the longest case has, of which none loops but by REP and LOOP.
    private const int InstructionsMax = 10_000;

    private readonly ulong[] _registers = new ulong[16];
    private uint _flags;
    private byte[] _data = [];
    private byte[] _stack = [];

    public required OracleCase Case { get; init; }

    public required ExecutionForms Form { get; init; }

    public bool IsDivideError { get; private set; }

    /// <summary>Null when the case ran to its end.</summary>
    public string? Surprise { get; private set; }

    public static MachineOutcome Of(TestMachine machine, OracleCase oracleCase, ExecutionForms form)
    {
        var cpu = machine.Cpu;
        for (var i = 0; i < 16; i++) cpu->Registers[i] = oracleCase.Registers[i];
        Interpreter.WriteFlags(cpu, oracleCase.Flags);
        cpu->UserMode = 1;
        cpu->GsBase = HostProcessor.GsBase;
        cpu->FsBase = HostProcessor.FsBase;
        var data = oracleCase.Data - (HostProcessor.WindowBytes / 2);
        var stack = HostProcessor.StackEndAt(oracleCase.Slot) - HostProcessor.StackWindowBytes;
        machine.Memory.Load(data, oracleCase.DataBytes);
        machine.Memory.Load(stack, oracleCase.StackBytes);
        machine.Code.Poke(oracleCase.Code, [.. oracleCase.Bytes, 0xcc]);

        var end = oracleCase.Code + oracleCase.Bytes.Count;
        if (form == ExecutionForms.Single) ForLines(oracleCase.Code, end, machine.Code.MakeDirty);
        cpu->Rip = oracleCase.Code.Value;
        if (form == ExecutionForms.Precise) while (machine.Run(1) == 1 && cpu->Exit == ExecutionExit.Budget) { }
        else machine.Run(InstructionsMax);
        if (form == ExecutionForms.Single) ForLines(oracleCase.Code, end, machine.Code.MakeClean);

        var outcome = new MachineOutcome { Case = oracleCase, Form = form };
        if (cpu->Exit != ExecutionExit.Trap || cpu->TrapVector != Traps.Breakpoint || cpu->Rip != end.Value + 1)
        {
            outcome.IsDivideError = cpu->Exit == ExecutionExit.Trap && cpu->TrapVector == Traps.DivideError;
            outcome.Surprise = $"ended with {cpu->Exit} {cpu->TrapVector} at +{cpu->Rip - oracleCase.Code.Value}, address {cpu->TrapAddress:x}";
            return outcome;
        }

        for (var i = 0; i < 16; i++) outcome._registers[i] = cpu->Registers[i];
        outcome._flags = (uint)Interpreter.ReadFlags(cpu);
        outcome._data = machine.Memory.Read(data, HostProcessor.WindowBytes);
        outcome._stack = machine.Memory.Read(stack, HostProcessor.StackWindowBytes);
        return outcome;
    }

    /// <summary>Makes it wrong, for the control of the comparison.</summary>
    public void Spoil(int? register = null, uint flags = 0, int? data = null, int? stack = null)
    {
        if (register is { } number) _registers[number] ^= 1UL << 40;
        _flags ^= flags;
        if (data is { } at) _data[at] ^= 1;
        if (stack is { } place) _stack[place] ^= 1;
    }

    /// <summary>Null, or what another form of execution made otherwise. Nothing is undefined here: the machine's choices are the same in all.</summary>
    public string? DifferenceTo(MachineOutcome other)
    {
        if (!_registers.AsSpan().SequenceEqual(other._registers)) return $"registers differ from those of {other.Form}";
        if (_flags != other._flags) return $"flags are {_flags:x}, but {other._flags:x} in {other.Form}";
        return _data.AsSpan().SequenceEqual(other._data) && _stack.AsSpan().SequenceEqual(other._stack) ? null : $"memory differs from that of {other.Form}";
    }

    /// <summary>Null, or what the host's processor did otherwise.</summary>
    public string? DifferenceTo(HostProcessor host)
    {
        ref var state = ref host.State(Case.Slot);
        for (var i = 0; i < 16; i++)
            if (_registers[i] != state.RegisterAfter(i)) return $"register {i} is {_registers[i]:x}, not {state.RegisterAfter(i):x}";
        var compared = HostProcessor.Flags & ~UndefinedFlags.InRflags(Case.Undefined);
        var flags = (uint)state.After[TrialRecord.Flags];
        if (((_flags ^ flags) & compared) != 0) return $"flags are {_flags & compared:x}, not {flags & compared:x}";
        var data = host.DataWindow(Case.Slot);
        var at = data.CommonPrefixLength(_data);
        if (at < data.Length) return $"data differ at {at - (HostProcessor.WindowBytes / 2)}: {_data[at]:x}, not {data[at]:x}";

        var stack = host.StackWindow(Case.Slot);
        at = stack.CommonPrefixLength(_stack);
        return at == stack.Length ? null : $"the stack differs at {at - HostProcessor.StackWindowBytes}: {_stack[at]:x}, not {stack[at]:x}";
    }

    private static void ForLines(GuestAddress start, GuestAddress end, Action<GuestAddress> act)
    {
        for (var line = start.AlignDown(64); line <= end; line += 64) act(line);
    }
}
