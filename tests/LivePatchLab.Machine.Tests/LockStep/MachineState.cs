using System.Globalization;

namespace LivePatchLab.Machine.Tests;

/// <summary>What the CPUs of a machine show between two quanta, to be compared word by word.</summary>
internal sealed unsafe class MachineState
{
    // In the order in which Take() lays them down.
    private static readonly string[] Names =
    [
        .. RegisterNames.All, "fs base", "gs base", "kernel gs base", "cr2", "dr6", "privilege level", "activity", "clock", "retired instructions", "traps", "breakpoints", "interrupts taken",
    ];

    private ulong[] _words = [];

    public MachineStop Stop { get; private set; }

    public string Fault { get; private set; } = "";

    public void Take(SmpMachine machine, MachineStop stop)
    {
        Stop = stop;
        Fault = machine.Fault?.ToString() ?? "";
        if (_words.Length == 0) _words = new ulong[machine.Cpus.Count * Names.Length];
        var accounts = machine.Accounts.Running;
        var at = 0;
        foreach (var cpu in machine.Cpus)
        {
            var state = cpu.State;
            cpu.Registers.CopyTo(_words.AsSpan(at));
            ref readonly var account = ref accounts[cpu.Id.Index];
            ReadOnlySpan<ulong> others =
            [
                state->Rip, cpu.Rflags, state->FsBase, state->GsBase, state->KernelGsBase, state->ControlRegisters[2], state->DebugRegisters[6], (ulong)state->UserMode,
                (ulong)cpu.Activity, (ulong)cpu.ClockCycles, (ulong)cpu.RetiredInstructions, (ulong)account.Traps, (ulong)account.Breakpoints, (ulong)account.IpisTaken,
            ];
            others.CopyTo(_words.AsSpan(at + 16));
            at += Names.Length;
        }
    }

    /// <summary>Null, or the words that differ.</summary>
    public string? DifferenceTo(MachineState other)
    {
        if (Stop != other.Stop) return $"the run ended with {Stop}, not {other.Stop}";
        if (Fault != other.Fault) return $"fault '{Fault}', not '{other.Fault}'";
        if (_words.AsSpan().SequenceEqual(other._words)) return null;
        var differences = from i in Enumerable.Range(0, _words.Length)
                          where _words[i] != other._words[i]
                          select $"CPU{i / Names.Length} {Names[i % Names.Length]} is {Show(_words[i])}, not {Show(other._words[i])}";
        return string.Join("; ", differences.Take(8));
    }

    /// <summary>Null, or the first byte of memory in which two machines differ.</summary>
    public static string? DifferenceInMemory(SmpMachine machine, SmpMachine other)
    {
        foreach (var (start, length) in machine.Memory.Regions)
        {
            for (var offset = 0L; offset < length; offset += GuestMemory.PageBytes)
            {
                var (mine, theirs) = (machine.Memory.Read(start + offset, GuestMemory.PageBytes), other.Memory.Read(start + offset, GuestMemory.PageBytes));
                var at = mine.AsSpan().CommonPrefixLength(theirs);
                if (at < mine.Length) return $"the byte at {start + (offset + at)} is {mine[at]:x2}, not {theirs[at]:x2}";
            }
        }

        return null;
    }

    private static string Show(ulong value) => value.ToString("x", CultureInfo.InvariantCulture);
}
