namespace LivePatchLab.Machine;

/// <summary>
/// Where far jumps and returns may lead. The descriptors are those of Linux, at its selectors, whatever LGDT has loaded
/// (arch/x86/include/asm/segment.h, v6.1). Two of them are of 32-bit code, which this machine does not have: to go there is #UD, where a processor would go on.
/// </summary>
internal static unsafe class CodeSegment
{
    // By their place in the table: __KERNEL32_CS, __KERNEL_CS, __KERNEL_DS, __USER32_CS, __USER_DS, __USER_CS.
    private const uint KernelCode32 = 0x08, KernelCode = 0x10, KernelData = 0x18, UserCode32 = 0x20, UserData = 0x28, UserCode = 0x30;

    private const uint LevelMask = 3, ErrorCodeMask = 0xfffc;

    /// <summary>The way back of IRET and RET, to the level that the selector asks for; false with the trap recorded (SDM vol. 2, IRET and RET).</summary>
    public static bool AdmitsReturn(CpuState* cpu, ushort selector)
    {
        var requested = selector & LevelMask;
        return IsGood(cpu, selector, isAllowed: requested >= CurrentLevel(cpu) && LevelOf(selector) == requested);
    }

    /// <summary>A jump, which stays at its level; false with the trap recorded (SDM vol. 2, JMP).</summary>
    public static bool AdmitsJump(CpuState* cpu, ushort selector)
        => IsGood(cpu, selector, isAllowed: (selector & LevelMask) <= CurrentLevel(cpu) && LevelOf(selector) == CurrentLevel(cpu));

    /// <summary>The stack segment that a return to <paramref name="level"/> brings; false with the trap recorded.</summary>
    public static bool AdmitsStack(CpuState* cpu, ushort selector, uint level)
    {
        var isGood = selector <= LevelMask ? level == 0 && selector == 0 : (selector & LevelMask) == level && (selector & ~LevelMask) == (level == 0 ? KernelData : UserData);
        if (!isGood) Traps.Record(cpu, Traps.GeneralProtection, selector & ErrorCodeMask);
        return isGood;
    }

    private static bool IsGood(CpuState* cpu, ushort selector, bool isAllowed)
    {
        if (!isAllowed) Traps.Record(cpu, Traps.GeneralProtection, selector & ErrorCodeMask);
        else if ((selector & ~LevelMask) is KernelCode32 or UserCode32) Traps.Record(cpu, Traps.InvalidOpcode);
        else return true;
        return false;
    }

    private static uint CurrentLevel(CpuState* cpu) => cpu->UserMode != 0 ? 3u : 0;

    /// <summary>Of the descriptor, where it is one of code; else a level that nobody has.</summary>
    private static uint LevelOf(ushort selector) => (selector & ~LevelMask) switch
    {
        KernelCode32 or KernelCode => 0,
        UserCode32 or UserCode => 3,
        _ => uint.MaxValue,
    };
}
