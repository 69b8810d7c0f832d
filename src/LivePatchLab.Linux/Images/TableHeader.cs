using System.Globalization;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The first line of a kernel's table: "# kernel NAME; .text base HEX; n=COUNT; what the lines are".</summary>
internal readonly record struct TableHeader(string KernelName, GuestAddress TextBase, int Count)
{
    private const string KernelMark = "# kernel ", BaseMark = ".text base ", CountMark = "n=";

    /// <summary>The kernel's window: __START_KERNEL_map and KERNEL_IMAGE_SIZE (1 GiB) of arch/x86/include/asm/page_64_types.h.</summary>
    private const ulong WindowStart = 0xffffffff80000000, WindowEnd = 0xffffffffc0000000;

    public static bool IsHeader(string line) => line.StartsWith(KernelMark, StringComparison.Ordinal);

    public static TableHeader Parse(string line, string where)
    {
        string? name = null;
        GuestAddress? textBase = null;
        int? count = null;
        foreach (var part in line.Split(';', StringSplitOptions.TrimEntries))
        {
            if (ValueOf(part, KernelMark) is { } release) name = release.Trim();
            else if (ValueOf(part, BaseMark) is { } start && GuestAddress.TryParse(start, out var address)) textBase = address;
            else if (ValueOf(part, CountMark) is { } digits && int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) count = number;
        }

        if (string.IsNullOrEmpty(name) || textBase is not { } baseOfText || count is not { } sites)
            throw new BadInputException($"{where}: the header must be '# kernel NAME; .text base HEX; n=COUNT; ...'; write the table again from the kernel image");
        if (!IsInKernelText(baseOfText, 1))
            throw new BadInputException($"{where}: .text base {baseOfText} is outside the kernel's window [ffffffff80000000, ffffffffc0000000); write the table again from the kernel image");
        return new(name, baseOfText, sites);
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

    private static string? ValueOf(string part, string mark) => part.StartsWith(mark, StringComparison.Ordinal) ? part[mark.Length..] : null;
}
