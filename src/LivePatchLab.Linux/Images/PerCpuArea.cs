using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The per-CPU variables of an image, of which setup_per_cpu_areas() gives each CPU a copy (arch/x86/kernel/setup_percpu.c).</summary>
/// <param name="Linked">What their symbols count from: 0 up to 6.14, where they were a segment of their own; from 6.15 on where they stand.</param>
/// <param name="Load">Where the image has their initial values.</param>
/// <param name="Length">Bytes.</param>
public sealed record PerCpuArea(GuestAddress Linked, GuestAddress Load, long Length)
{
    /// <summary>The area between __per_cpu_start and __per_cpu_end of an image; null where it has none.</summary>
    /// <exception cref="BadInputException">The two enclose nothing that the image holds.</exception>
    internal static PerCpuArea? Of(ElfFile elf, SymbolTable symbols)
    {
        if (symbols["__per_cpu_load"] is { } load && elf.Segments.FirstOrDefault(segment => segment.Address.Value == 0) is { } segment) return new(default, load, segment.Length);
        if (symbols["__per_cpu_start"] is not { } start || symbols["__per_cpu_end"] is not { } end || start.Value == 0) return null;
        var length = end - start;
        return length is > 0 and <= int.MaxValue && elf.Segments.Any(each => each.Contains(start, (int)length))
            ? new(start, start, length)
            : throw new BadInputException($"{elf.Source}: __per_cpu_start {start} and __per_cpu_end {end} enclose no part of the image; fetch it again");
    }
}
