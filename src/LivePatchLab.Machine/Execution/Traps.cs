namespace LivePatchLab.Machine;

/// <summary>Guest faults are values: this writes one into the CPU's state, and the machine delivers it (SDM vol. 3, 6.15).</summary>
internal static unsafe class Traps
{
    public const int DivideError = 0, Debug = 1, Breakpoint = 3, Overflow = 4, InvalidOpcode = 6, NoCoprocessor = 7, StackFault = 12, GeneralProtection = 13, PageFault = 14;

    public const uint PageFaultPresent = 1, PageFaultWrite = 2, PageFaultUser = 4, PageFaultFetch = 16;

    public static void Record(CpuState* cpu, int vector, uint errorCode = 0)
    {
        cpu->TrapVector = vector;
        cpu->TrapErrorCode = errorCode;
    }

    public static void RecordPageFault(CpuState* cpu, ulong address, byte pageFlags, uint access)
    {
        cpu->TrapAddress = address;
        cpu->ControlRegisters[2] = address;
        var present = (pageFlags & PageFlag.Mapped) != 0 ? PageFaultPresent : 0;
        Record(cpu, PageFault, access | present | (cpu->UserMode != 0 ? PageFaultUser : 0));
    }
}
