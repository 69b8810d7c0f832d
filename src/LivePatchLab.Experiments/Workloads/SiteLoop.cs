using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>Guest code of two instructions, <c>call</c> and <c>jmp</c>, that comes by one traced function every few cycles: for looking at one race closely.</summary>
public static class SiteLoop
{
    /// <summary>Has a CPU call the same traced function for ever, in place of what it did.</summary>
    /// <param name="lab">The machine.</param>
    /// <param name="cpu">Which CPU.</param>
    /// <param name="function">Which of the functions that the machine's text has.</param>
    public static void Start(LabMachine lab, int cpu, int function = 0)
    {
        if (cpu < 0 || cpu >= lab.Machine.Cpus.Count)
            throw new Linux.BadInputException($"CPU {cpu}: the machine has CPUs 0 to {lab.Machine.Cpus.Count - 1}");
        if (function < 0 || function >= lab.Text.Functions.Count)
            throw new Linux.BadInputException($"function {function}: the text has functions 0 to {lab.Text.Functions.Count - 1}");

        var at = (lab.Text.End + (GuestMemory.PageBytes * (cpu + 1L))).AlignDown(GuestMemory.PageBytes);
        var code = new byte[7];
        code[0] = 0xe8;
        System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(code.AsSpan(1), checked((int)(lab.Text.Functions[function] - (at + 5))));
        code[5] = 0xeb;
        code[6] = 0xf9;
        lab.Machine.Memory.Map(at, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        lab.Machine.Memory.Load(at, code);
        lab.Machine.Cpus[cpu].StartGuest(at, lab.Text.StackTop(new(cpu)));
    }
}
