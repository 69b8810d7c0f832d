using System.Globalization;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The first line of a kernel's table: "# kernel NAME; .text base HEX; n=COUNT; what the lines are".</summary>
internal readonly record struct TableHeader(string KernelName, GuestAddress TextBase, int Count)
{
    private const string KernelMark = "# kernel ", BaseMark = ".text base ", CountMark = "n=";

    /// <summary>The kernel's window: __START_KERNEL_map and KERNEL_IMAGE_SIZE (1 GiB) of arch/x86/include/asm/page_64_types.h.</summary>
    private const ulong WindowStart = 0xffffffff80000000, WindowEnd = 0xffffffffc0000000;

    public static bool IsHeader(ReadOnlySpan<char> line) => line.StartsWith(KernelMark);

    public static TableHeader Parse(ReadOnlySpan<char> line, string where)
    {
        string? name = null;
        GuestAddress? textBase = null;
        int? count = null;
        foreach (var range in line.Split(';'))
        {
            var part = line[range].Trim();
            if (part.StartsWith(KernelMark)) name = part[KernelMark.Length..].Trim().ToString();
            else if (part.StartsWith(BaseMark) && GuestAddress.TryParse(part[BaseMark.Length..], out var address)) textBase = address;
            else if (part.StartsWith(CountMark) && int.TryParse(part[CountMark.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var number)) count = number;
        }

        if (string.IsNullOrEmpty(name) || textBase is not { } start || count is not { } sites)
            throw new BadInputException($"{where}: the header must be '# kernel NAME; .text base HEX; n=COUNT; ...'; write the table again from the kernel image");
        if (!IsInKernelText(start, 1))
            throw new BadInputException($"{where}: .text base {start} is outside the kernel's window [ffffffff80000000, ffffffffc0000000); write the table again from the kernel image");
        return new(name, start, sites);
    }

    public static BadInputException Missing(string sourceName)
        => new($"{sourceName}:1: no header '# kernel NAME; .text base HEX; n=COUNT; ...' before the sites; give a table like those in data/kernels");

    public static bool IsInKernelText(GuestAddress address, int length)
        => address.Value >= WindowStart && address.Value <= WindowEnd - (ulong)length;

    public void Write(TextWriter writer, string lines)
        => writer.Write($"# kernel {KernelName}; .text base {TextBase}; n={Count}; {lines}\n");

    public void RequireCount(int found, string where)
    {
        if (found != Count)
            throw new BadInputException($"{where}: the header says n={Count}, the table has {found} sites; the file is {(found < Count ? "truncated" : "damaged")}, fetch it again");
    }
}
