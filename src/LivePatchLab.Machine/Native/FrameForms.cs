using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>For an instruction between two registers, the code by which one of them may be memory.</summary>
internal static class FrameForms
{
    private static readonly Dictionary<Code, Code> Turned = Turn(
        (Code.Mov_rm32_r32, Code.Mov_r32_rm32), (Code.Mov_rm64_r64, Code.Mov_r64_rm64),
        (Code.Add_rm32_r32, Code.Add_r32_rm32), (Code.Add_rm64_r64, Code.Add_r64_rm64),
        (Code.Or_rm32_r32, Code.Or_r32_rm32), (Code.Or_rm64_r64, Code.Or_r64_rm64),
        (Code.Adc_rm32_r32, Code.Adc_r32_rm32), (Code.Adc_rm64_r64, Code.Adc_r64_rm64),
        (Code.Sbb_rm32_r32, Code.Sbb_r32_rm32), (Code.Sbb_rm64_r64, Code.Sbb_r64_rm64),
        (Code.And_rm32_r32, Code.And_r32_rm32), (Code.And_rm64_r64, Code.And_r64_rm64),
        (Code.Sub_rm32_r32, Code.Sub_r32_rm32), (Code.Sub_rm64_r64, Code.Sub_r64_rm64),
        (Code.Xor_rm32_r32, Code.Xor_r32_rm32), (Code.Xor_rm64_r64, Code.Xor_r64_rm64),
        (Code.Cmp_rm32_r32, Code.Cmp_r32_rm32), (Code.Cmp_rm64_r64, Code.Cmp_r64_rm64));

    /// <summary>Null where there is none.</summary>
    public static Code? Of(Code code, int operand)
    {
        if (MayBeMemory(code, operand)) return code;
        return Turned.TryGetValue(code, out var turned) && MayBeMemory(turned, operand) ? turned : null;
    }

    private static bool MayBeMemory(Code code, int operand)
        => code.ToOpCode() is var form && operand < form.OpCount
            && form.GetOpKind(operand) is OpCodeOperandKind.r8_or_mem or OpCodeOperandKind.r16_or_mem or OpCodeOperandKind.r32_or_mem or OpCodeOperandKind.r64_or_mem;

    private static Dictionary<Code, Code> Turn(params ReadOnlySpan<(Code Store, Code Load)> pairs)
    {
        var turned = new Dictionary<Code, Code>();
        foreach (var (store, load) in pairs)
        {
            turned[store] = load;
            turned[load] = store;
        }

        return turned;
    }
}
