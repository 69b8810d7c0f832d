using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>Looking at a CPU and at what its registers point to. Looking changes nothing.</summary>
public static class CpuInspection
{
    private const int DumpBytesMax = 1 << 16;
    private const int StackWordsMax = 1000;

    /// <summary>The value of an expression on registers, symbols and memory: "rdi + 8*rcx", "[rsp+8]", "increment+4".</summary>
    /// <exception cref="BadInputException">It is no such expression; the message names the column.</exception>
    public static GuestValue Eval(this Cpu cpu, string expression) => GuestValue.Of(cpu.Machine, RegisterExpression.Evaluate(cpu, expression));

    /// <summary>Memory from the place that an expression gives: <c>cpu.Memory("rsp", 64)</c>.</summary>
    /// <exception cref="BadInputException">It is no such expression, or the length is out of reach.</exception>
    public static MemoryDump Memory(this Cpu cpu, string place, int bytes = 64) => cpu.Machine.Dump(cpu.Eval(place), bytes);

    /// <summary>A range of memory, with its symbols, sites and INT3 marked. Bytes that are not mapped are left blank.</summary>
    /// <exception cref="BadInputException">The length is out of reach.</exception>
    public static MemoryDump Dump(this SmpMachine machine, GuestAddress address, int bytes = 64)
        => bytes is >= 1 and <= DumpBytesMax ? MemoryDump.Of(machine, address, bytes) : throw new BadInputException($"{bytes} bytes: a dump has 1 to {DumpBytesMax:N0}");

    /// <summary>The words on the top of the stack.</summary>
    /// <exception cref="BadInputException">The number is out of reach.</exception>
    public static StackListing Stack(this Cpu cpu, int words = 8)
        => words is >= 1 and <= StackWordsMax ? StackListing.Of(cpu, words) : throw new BadInputException($"{words} words: a stack listing has 1 to {StackWordsMax:N0}");

    /// <summary>Breaks at the place that an expression gives: a symbol, "symbol+4", "0x401136", "[rsp]".</summary>
    /// <returns>Where the breakpoint is.</returns>
    /// <exception cref="BadInputException">It is no such expression, or nothing executable is there.</exception>
    public static GuestValue Break(this Debugger debugger, string place)
    {
        var at = debugger.PlaceOf(place);
        debugger.Break(at);
        return at;
    }

    /// <summary>Takes a breakpoint away; false where there was none.</summary>
    /// <exception cref="BadInputException">It is no expression for a place of code.</exception>
    public static bool Remove(this Debugger debugger, string place) => debugger.Remove(debugger.PlaceOf(place));

    /// <summary>Runs until some CPU is about to execute the instruction at a place, or to a breakpoint, or until nothing is left to do.</summary>
    /// <exception cref="BadInputException">It is no expression for a place of code.</exception>
    public static DebuggerStop RunUntil(this Debugger debugger, string place, CancellationToken cancellation = default) => debugger.RunUntil(debugger.PlaceOf(place), cancellation);

    private static GuestValue PlaceOf(this Debugger debugger, string place)
    {
        var at = debugger.Machine.Cpus[0].Eval(place);
        return (debugger.Machine.Memory.PermissionsAt(at) & PagePermissions.Execute) is not (null or 0) ? at : throw new BadInputException($"\"{place}\" is {(GuestAddress)at}, and no code is there");
    }
}
