namespace LivePatchLab.Linux;

/// <summary>Which ELF files are executables for this machine, and what is said of the others.</summary>
internal static class ElfKind
{
    private const int HeaderBytes = 64;
    private const ushort X86Machine = 62;
    private const ushort Relocatable = 1, Executable = 2, Dynamic = 3, Core = 4;

    public static bool IsElf(ImageBytes file) => file.Length >= 4 && file.UInt32(0, "the magic") == 0x464c457f;

    /// <summary>The file is an ELF64 file for x86-64.</summary>
    /// <exception cref="BadInputException">It is not.</exception>
    public static void RequireX86(ImageBytes file, ImageUse use)
    {
        if (!IsElf(file)) throw ForeignFile.Refused(file, use);
        var ident = file.Span(0, HeaderBytes, "the ELF header");
        if (ident[4] != 2)
        {
            throw ident[4] == 1
                ? file.Bad($"a 32-bit ELF file; {Else(use, "build it with -m64")}")
                : file.Bad($"ELF class {ident[4]} is neither 32 nor 64 bit; {Else(use, "build it again")}");
        }

        if (ident[5] != 1) throw file.Bad($"a big-endian ELF file; {Else(use, "build it for x86-64")}");
        var machine = file.UInt16(18, "e_machine");
        if (machine != X86Machine) throw file.Bad($"built for {MachineName(machine)}; {Else(use, "build it for x86-64")}");
    }

    /// <summary>The file is a linked executable of its own.</summary>
    /// <param name="file">An ELF file that <see cref="RequireX86"/> has let pass.</param>
    /// <param name="use">What it is opened as.</param>
    /// <param name="sections">Its sections; without them a module is an object file like others, and User-Mode Linux a program.</param>
    /// <exception cref="BadInputException">It is not.</exception>
    public static void RequireExecutable(ImageBytes file, ImageUse use, List<ElfSection> sections)
    {
        // CONFIG_MODULES: modpost gives each module this section (scripts/mod/modpost.c, add_header).
        if (sections.Exists(section => section.Name == ".gnu.linkonce.this_module"))
            throw file.Bad(use == ImageUse.Kernel
                ? $"a kernel module, not a kernel; {ForeignFile.KernelWanted}"
                : $"a kernel module, not a program; {ForeignFile.ProgramWanted}");

        // arch/um/include/asm/common.lds.S.
        if (sections.Exists(section => section.Name.StartsWith(".uml.", StringComparison.Ordinal)))
            throw file.Bad(use == ImageUse.Kernel
                ? $"User-Mode Linux, a program of its host that has none of the sites that are patched while a kernel runs; {ForeignFile.KernelWanted}"
                : $"User-Mode Linux, which needs far more system calls of its host than write, exit and exit_group; {ForeignFile.ProgramWanted}");

        var type = file.UInt16(16, "e_type");
        switch (type)
        {
            case Executable: break;
            case Relocatable: throw file.Bad($"an object file, not yet linked; {Else(use, "link it with -static -nostdlib -no-pie")}");
            case Dynamic: throw file.Bad($"a dynamic or position-independent ELF file; {Else(use, "link it with -static -no-pie")}");
            case Core: throw file.Bad($"the core dump of a process, not an executable; {ForeignFile.Wanted(use)}");
            default: throw file.Bad($"ELF type {type} is not an executable; {Else(use, "give a linked program")}");
        }
    }

    /// <summary>What to do with a program; whoever wanted a kernel has taken the wrong file.</summary>
    public static string Else(ImageUse use, string withProgram) => use == ImageUse.Kernel ? ForeignFile.KernelWanted : withProgram;

    private static string MachineName(ushort machine) => machine switch
    {
        3 => "i386",
        40 => "Arm",
        183 => "AArch64",
        243 => "RISC-V",
        _ => $"ELF machine {machine}",
    };
}
