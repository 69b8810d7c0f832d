using System.Globalization;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The jump labels of a kernel's .text, without the kernel: "offset,length,state,target delta,key offset,branch" a line.</summary>
public sealed class JumpLabelTable
{
    private const string Lines = "hex offset from .text base,length,n=nop or j=jmp,target - site,hex key offset,branch bit; .text only";

    internal JumpLabelTable(string kernelName, GuestAddress textBase, IReadOnlyList<JumpLabelSite> sites)
    {
        KernelName = kernelName;
        TextBase = textBase;
        Sites = sites;
    }

    public string KernelName { get; }

    public GuestAddress TextBase { get; }

    /// <summary>In ascending order of address.</summary>
    public IReadOnlyList<JumpLabelSite> Sites { get; }

    public static JumpLabelTable FromKernel(KernelImage image)
        => new(image.Release, image.TextBase, [.. image.JumpLabels.Where(site => image.IsInText(site.Address)).OrderBy(site => site.Address)]);

    /// <exception cref="BadInputException">It is not such a table.</exception>
    public static JumpLabelTable Parse(TextReader reader, string sourceName)
    {
        var lines = new TableLines(reader, sourceName, columns: 6);
        var sites = new List<JumpLabelSite>();
        while (lines.Next(out var header, out var fields))
        {
            var address = lines.Address(fields[0], header.TextBase);
            if (!int.TryParse(fields[1], NumberStyles.None, CultureInfo.InvariantCulture, out var length) || length is not (2 or 5))
                throw lines.Bad($"length '{fields[1]}' of a jump label is neither 2 nor 5");
            if (fields[2] is not ("n" or "j")) throw lines.Bad($"state '{fields[2]}' is neither n (nop) nor j (jmp)");
            if (!int.TryParse(fields[3], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var target)) throw lines.Bad($"'{fields[3]}' is not a jump's distance");
            if (fields[5] is not ("0" or "1")) throw lines.Bad($"branch bit '{fields[5]}' is neither 0 nor 1");
            sites.Add(new(address, length, fields[2] == "j", address + target, lines.Address(fields[4], header.TextBase), fields[5] == "1"));
        }

        lines.RequireAscending(sites, site => site.Address);
        return new(lines.Header.KernelName, lines.Header.TextBase, sites);
    }

    public void Write(TextWriter writer)
    {
        new TableHeader(KernelName, TextBase, Sites.Count).Write(writer, Lines);
        foreach (var site in Sites)
            writer.Write($"{site.Address - TextBase:x},{site.Length},{(site.IsJump ? 'j' : 'n')},{site.Target - site.Address},{site.Key - TextBase:x},{(site.IsBranch ? 1 : 0)}\n");
    }
}
