using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>#!eval: the value of an expression on a CPU's registers.</summary>
internal static class EvalMagic
{
    private const string ProgramVariable = "program";

    public static Magic Create() => new("eval", "Shows the value of an expression on a CPU's registers, on symbols and on memory.", Run)
    {
        Parameters =
        [
            new("expression", "registers (rax … r15, rip, rflags), symbols, decimal and 0x numbers, + - * ( ), and [ ] for the 64-bit word at an address") { Positional = true, Required = true },
            new("cpu", "whose registers: the number of a CPU") { Default = "0" },
            new("on", "the variable that holds a program, a machine or a CPU") { Default = ProgramVariable },
        ],
        Examples = ["#!eval \"rdi + 8*rcx\"", "#!eval \"[rsp+8]\" --cpu 1", "#!eval \"ftrace_caller + 4\" --on machine"],
    };

    private static Task Run(MagicCall call)
    {
        call.Display(CpuOf(call).Eval(call.Text("expression")));
        return Task.CompletedTask;
    }

    private static Cpu CpuOf(MagicCall call)
    {
        var name = call.Text("on");
        if (!call.TryGet<object>(name, out var holder)) throw call.Refuse("on", $"there is no variable '{name}'; #!load --program makes one named {ProgramVariable}");
        if (holder is Cpu cpu) return cpu;
        var cpus = holder switch
        {
            Program program => program.Cpus,
            LabMachine lab => lab.Machine.Cpus,
            SmpMachine machine => machine.Cpus,
            _ => throw call.Refuse("on", $"the variable '{name}' holds neither a program nor a machine nor a CPU"),
        };
        return cpus[call.Count("cpu", 0, cpus.Count - 1)];
    }
}
