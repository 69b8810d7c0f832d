namespace LivePatchLab.Machine;

/// <summary>The general registers' numbers, as instructions encode them.</summary>
internal static class Gpr
{
    public const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rbp = 5, Rsi = 6, Rdi = 7, R11 = 11;
}
