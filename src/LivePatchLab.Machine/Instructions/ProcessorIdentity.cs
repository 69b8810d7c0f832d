using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// CPUID, which serialises. The machine calls itself "LivePatchLab" and owns up to exactly what it implements, the same on every
/// host: leaf 0 vendor, 1 and 7 features, 80000000h, 80000001h, and the brand string; all other leaves are 0.
/// </summary>
internal sealed unsafe class ProcessorIdentity : InstructionFamily
{
    private const uint HighestLeaf = 7, HighestExtendedLeaf = 0x8000_0004;

    // Family 6, model 1, stepping 0: like no processor that a program would know errata of.
    private const uint Signature = 0x0000_0610;

    // Leaf 1 ECX: CMPXCHG16B 13, MOVBE 22, POPCNT 23, hypervisor 31. EDX: TSC 4, MSR 5, CX8 8, CMOV 15, CLFLUSH 19.
    private const uint FeaturesEcx = (1u << 13) | (1u << 22) | (1u << 23) | (1u << 31);
    private const uint FeaturesEdx = (1u << 4) | (1u << 5) | (1u << 8) | (1u << 15) | (1u << 19);

    // Leaf 7 EBX: FSGSBASE 0, BMI1 3, BMI2 8, ADX 19, SMAP 20, CLFLUSHOPT 23, CLWB 24. EDX: SERIALIZE 14.
    private const uint StructuredEbx = 1u | (1u << 3) | (1u << 8) | (1u << 19) | (1u << 20) | (1u << 23) | (1u << 24);
    private const uint StructuredEdx = 1u << 14;

    // Leaf 80000001h ECX: LAHF 0, LZCNT 5, PREFETCHW 8. EDX: SYSCALL 11, NX 20, RDTSCP 27, long mode 29.
    private const uint ExtendedEcx = 1u | (1u << 5) | (1u << 8);
    private const uint ExtendedEdx = (1u << 11) | (1u << 20) | (1u << 27) | (1u << 29);

    private static ReadOnlySpan<byte> Vendor => "LivePatchLab"u8;

    private static ReadOnlySpan<byte> Brand => "LivePatchLab emulated x86-64 processor\0\0\0\0\0\0\0\0\0\0"u8;

    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Cpuid];

    public override bool TryBuild(OpBuilder builder)
    {
        builder.Use(typeof(ProcessorIdentity), nameof(Identify));
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Identify(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        var (eax, ebx, ecx, edx) = Leaf((uint)cpu->Registers[Gpr.Rax], (uint)cpu->Registers[Gpr.Rcx], (uint)cpu->CpuIndex);
        cpu->Registers[Gpr.Rax] = eax;
        cpu->Registers[Gpr.Rbx] = ebx;
        cpu->Registers[Gpr.Rcx] = ecx;
        cpu->Registers[Gpr.Rdx] = edx;
        Leave.Retired(cpu, op, budget, ExecutionExit.Serialised);
    }

    private static (uint Eax, uint Ebx, uint Ecx, uint Edx) Leaf(uint leaf, uint subleaf, uint cpu) => leaf switch
    {
        0 => (HighestLeaf, Word(Vendor, 0), Word(Vendor, 2), Word(Vendor, 1)),
        1 => (Signature, (cpu << 24) | (8u << 8), FeaturesEcx, FeaturesEdx),
        7 when subleaf == 0 => (0, StructuredEbx, 0, StructuredEdx),
        0x8000_0000 => (HighestExtendedLeaf, 0, 0, 0),
        0x8000_0001 => (Signature, 0, ExtendedEcx, ExtendedEdx),
        >= 0x8000_0002 and <= 0x8000_0004 => BrandPart((int)(leaf - 0x8000_0002)),
        _ => (0, 0, 0, 0),
    };

    private static (uint Eax, uint Ebx, uint Ecx, uint Edx) BrandPart(int part)
        => (Word(Brand, part * 4), Word(Brand, (part * 4) + 1), Word(Brand, (part * 4) + 2), Word(Brand, (part * 4) + 3));

    private static uint Word(ReadOnlySpan<byte> text, int index) => System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(text[(index * 4)..]);
}
