using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// Instructions that the machine has and that a processor may refuse all the same, because the manuals or the kernel say so. Whether this one does is
/// found out by trying. What is not here, and not missing by <see cref="HostFeatures"/>, has to run.
/// </summary>
internal static class PermittedRefusals
{
    /// <summary>Why a processor may refuse a code; null where none may.</summary>
    public static string? ReasonFor(Code code) => code switch
    {
        // SDM vol. 2, table A-3: all of 0F 0D is a NOP. APM vol. 3, PREFETCHlevel and PREFETCHW: the operand is memory, so the rest is reserved.
        Code.Reservednop_rm16_r16_0F0D or Code.Reservednop_rm32_r32_0F0D or Code.Reservednop_rm64_r64_0F0D => "0F 0D of a register is a NOP for Intel and reserved for AMD",

        // APM vol. 3, JMP (far): the operand is m16:16 or m16:32, whatever REX.W says. The selector is then looked for in the target.
        Code.Jmp_m1664 => "AMD has no m16:64",

        // Linux before 5.9 leaves CR4.FSGSBASE 0, whatever CPUID says.
        Code.Rdfsbase_r32 or Code.Rdfsbase_r64 or Code.Rdgsbase_r32 or Code.Rdgsbase_r64 => "an older Linux does not allow it",
        _ => null,
    };
}
