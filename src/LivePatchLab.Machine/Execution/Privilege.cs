namespace LivePatchLab.Machine;

/// <summary>What a CPU may do at its privilege level: CPL 0, or CPL 3 for user programs (SDM vol. 3, 5.9).</summary>
internal static unsafe class Privilege
{
    public static bool AllowsInputOutput(CpuState* cpu)
        => cpu->UserMode == 0 || (cpu->SystemFlags & SystemFlag.PrivilegeLevel) == SystemFlag.PrivilegeLevel;
}
