namespace LivePatchLab.Machine;

/// <summary>The registers that people ask for by name, in the order of their encoding, then RIP and RFLAGS.</summary>
public static class RegisterNames
{
    public const int Rip = 16, Rflags = 17;

    public static IReadOnlyList<string> All { get; } =
        ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags"];

    /// <summary>The flags that are set, by the SDM's names, from bit 0 on: "CF PF ZF IF"; the bit that is always 1 and IOPL are left out.</summary>
    public static string FlagsOf(ulong rflags) => string.Join(' ', Flags.Where(flag => (rflags >> flag.Bit & 1) != 0).Select(flag => flag.Name));

    /// <summary>The place of a name in <see cref="All"/>, whatever its case; -1 for what is no such register.</summary>
    public static int IndexOf(string name)
    {
        for (var i = 0; i < All.Count; i++)
            if (All[i].Equals(name, StringComparison.OrdinalIgnoreCase)) return i;
        return -1;
    }

    // SDM volume 1, 3.4.3.
    private static readonly (int Bit, string Name)[] Flags =
        [(0, "CF"), (2, "PF"), (4, "AF"), (6, "ZF"), (7, "SF"), (8, "TF"), (9, "IF"), (10, "DF"), (11, "OF"), (14, "NT"), (16, "RF"), (18, "AC"), (21, "ID")];
}
