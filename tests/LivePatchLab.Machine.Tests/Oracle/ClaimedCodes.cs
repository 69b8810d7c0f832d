using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// The instruction codes that the machine claims: those of which some instance decodes in 64-bit mode and is built by its family. And which of
/// them the host's processor can be asked about, with the reason for each where it cannot.
/// </summary>
internal static unsafe class ClaimedCodes
{
    private const int Attempts = 200;

    private static readonly Dictionary<string, Mnemonic[]> Incomparable = new()
    {
        ["privileged, or #UD in programs"] =
        [
            Mnemonic.Hlt, Mnemonic.Cli, Mnemonic.Sti, Mnemonic.Clac, Mnemonic.Stac, Mnemonic.Rdmsr, Mnemonic.Wrmsr, Mnemonic.Wbinvd, Mnemonic.Invd,
            Mnemonic.Invlpg, Mnemonic.Swapgs, Mnemonic.In, Mnemonic.Out, Mnemonic.Insb, Mnemonic.Insw, Mnemonic.Insd, Mnemonic.Outsb, Mnemonic.Outsw,
            Mnemonic.Outsd, Mnemonic.Lgdt, Mnemonic.Lidt, Mnemonic.Lldt, Mnemonic.Ltr, Mnemonic.Clts, Mnemonic.Rdpmc, Mnemonic.Sysretq,
        ],
        ["says what the processor is, or what time it is"] =
            [Mnemonic.Cpuid, Mnemonic.Rdtsc, Mnemonic.Rdtscp, Mnemonic.Sgdt, Mnemonic.Sidt, Mnemonic.Sldt, Mnemonic.Str],
        ["depends on the host's segments; SystemInstructionTests compare them"] = [Mnemonic.Verr, Mnemonic.Verw, Mnemonic.Lar, Mnemonic.Lsl],
        ["moves the host's own segments"] = [Mnemonic.Wrfsbase, Mnemonic.Wrgsbase, Mnemonic.Retf, Mnemonic.Iretq],
        ["ends in a signal or in the host's kernel; TrapTests"] =
            [Mnemonic.Ud0, Mnemonic.Ud1, Mnemonic.Ud2, Mnemonic.Int, Mnemonic.Int1, Mnemonic.Int3, Mnemonic.Syscall, Mnemonic.INVALID],
    };

    private static readonly Lazy<IReadOnlyList<Code>> AllCodes = new(Find);

    public static IReadOnlyList<Code> All => AllCodes.Value;

    /// <summary>Those to compare with the host.</summary>
    public static IReadOnlyList<Code> Comparable { get; } = [.. All.Where(code => WhyNot(code) is null)];

    /// <summary>Null, or why the host cannot be asked about a code.</summary>
    public static string? WhyNot(Code code)
    {
        foreach (var (reason, mnemonics) in Incomparable)
            if (mnemonics.Contains(code.Mnemonic())) return reason;
        for (var i = 0; i < code.ToOpCode().OpCount; i++)
        {
            var kind = code.ToOpCode().GetOpKind(i);
            if (kind is OpCodeOperandKind.cr_reg or OpCodeOperandKind.dr_reg) return "privileged, or #UD in programs";
            if (kind is OpCodeOperandKind.seg_reg) return "moves the host's own segments";
            if (kind is OpCodeOperandKind.fs or OpCodeOperandKind.gs && code.Mnemonic() == Mnemonic.Pop) return "moves the host's own segments";
        }

        if (code == Code.Jmp_m1616) return "its target is below 64 KiB, where the host maps nothing";
        foreach (var feature in new Instruction { Code = code }.CpuidFeatures)
            if (!HostFeatures.Has(feature)) return $"the host's processor has no {feature}";
        return null;
    }

    /// <summary>An instance of a code, or null when none can be made: then the machine does not take its operands.</summary>
    public static OracleCase? Instance(Code code, Draw draw, int slot)
    {
        var oracleCase = new OracleCase(slot);
        var instruction = new InstructionDraw(draw, oracleCase);
        for (var attempt = 0; attempt < Attempts; attempt++)
            if (instruction.TryMake(code)) return oracleCase;
        return null;
    }

    private static List<Code> Find()
    {
        var families = InstructionTable.Families.SelectMany(family => family.Mnemonics.Select(mnemonic => (mnemonic, family))).ToDictionary(pair => pair.mnemonic, pair => pair.family);
        var draw = new Draw(1);
        var builder = new OpBuilder();
        var codes = new List<Code>();
        foreach (var code in Enum.GetValues<Code>())
        {
            var info = code.ToOpCode();
            if (!info.IsInstruction || !info.Mode64 || code == Code.INVALID || !families.TryGetValue(code.Mnemonic(), out var family)) continue;
            if (!HasOnlyIntegerOperands(info) || Instance(code, draw, 1) is not { } instance) continue;
            Op op;
            builder.Begin(instance.Instructions[0], &op, remaining: 1, careful: true, FlagLiveness.Status);
            if (family.TryBuild(builder)) codes.Add(code);
        }

        return codes;
    }

    private static bool HasOnlyIntegerOperands(OpCodeInfo info)
    {
        for (var i = 0; i < info.OpCount; i++)
        {
            var kind = info.GetOpKind(i).ToString();
            if (kind.Contains("mm", StringComparison.Ordinal) && !kind.StartsWith("imm", StringComparison.Ordinal)) return false;
            if (kind.StartsWith("k_", StringComparison.Ordinal) || kind.StartsWith("far", StringComparison.Ordinal) || kind.StartsWith("bnd", StringComparison.Ordinal)) return false;
        }

        return info.Encoding is not EncodingKind.XOP;
    }
}
