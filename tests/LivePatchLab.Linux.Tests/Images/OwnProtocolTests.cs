using Iced.Intel;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

/// <summary>By which protocol a kernel patches itself, read in its #BP handler; docs/protocols.md says the same.</summary>
public sealed class OwnProtocolTests
{
    /// <summary>How far into the handler its reference count is looked for.</summary>
    private const int HandlerBytes = 96;

    [Theory]
    [KernelData(KernelFolder.ExactCloud510)]
    [KernelData(KernelFolder.ExactCloud61)]
    [KernelData(KernelFolder.ExactCloud612)]
    [KernelData(KernelFolder.ExactCloud7)]
    public void The_document_names_the_protocol_of_the_image(string kernel)
    {
        var image = KernelFolder.Open(kernel);
        var row = File.ReadAllLines(Path.Combine(LabFolder.Root, "docs", "protocols.md")).Single(line => line.StartsWith($"| {image.Release} ", StringComparison.Ordinal));
        row.Split('|')[2].ShouldContain($"`{ProtocolOf(image)}`");
    }

    /// <summary>Known are those that count references (as of 5.6); they differ in where the count is.</summary>
    private static string ProtocolOf(KernelImage image)
    {
        var isSmpTextPoke = image.Symbols["smp_text_poke_int3_handler"] is not null;
        var handler = (image.Symbols["smp_text_poke_int3_handler"] ?? image.Symbols["poke_int3_handler"]).ShouldNotBeNull();
        var decoder = Decoder.Create(64, image.Elf.BytesAt(handler, HandlerBytes, "the handler").ToArray(), handler.Value);
        var isPerCpu = false;
        while (decoder.IP < handler.Value + HandlerBytes)
        {
            var instruction = decoder.Decode();
            isPerCpu |= instruction.SegmentPrefix == Register.GS;
            if (instruction.Mnemonic != Mnemonic.Cmpxchg || !instruction.HasLockPrefix) continue;

            // raw_atomic_inc_not_zero: of the global descriptor, of the one a pointer leads to, or of this CPU's counter.
            if (instruction.IsIPRelativeMemoryOperand)
            {
                new GuestAddress(instruction.IPRelativeMemoryAddress).ShouldBeInRange(image.Symbols["bp_desc"].ShouldNotBeNull(), image.Symbols["bp_desc"].ShouldNotBeNull() + 16);
                return "text_poke_bp_global_desc";
            }

            if (!isPerCpu) return "text_poke_bp_refcount";
            if (isSmpTextPoke) image.Symbols["text_poke_array_refs"].ShouldNotBeNull();
            return isSmpTextPoke ? "smp_text_poke" : "text_poke_bp_per_cpu_refs";
        }

        throw new InvalidOperationException($"{image.Release} counts no references in its handler");
    }
}
