using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>The static calls of a kernel's .text, without the kernel: "offset,E8 or E9,key name" a line.</summary>
public sealed class StaticCallTable
{
    private const string Lines = "hex offset from .text base,E8=call or E9=tail jmp,key; .text only";

    internal StaticCallTable(string kernelName, GuestAddress textBase, IReadOnlyList<StaticCallSite> sites)
    {
        KernelName = kernelName;
        TextBase = textBase;
        Sites = sites;
    }

    public string KernelName { get; }

    public GuestAddress TextBase { get; }

    /// <summary>In ascending order of address.</summary>
    public IReadOnlyList<StaticCallSite> Sites { get; }

    public static StaticCallTable FromKernel(KernelImage image)
        => new(image.Release, image.TextBase, [.. image.StaticCalls.Where(site => image.IsInText(site.Address)).OrderBy(site => site.Address)]);

    /// <exception cref="BadInputException">It is not such a table.</exception>
    public static StaticCallTable Parse(TextReader reader, string sourceName)
    {
        var lines = new TableLines(reader, sourceName, columns: 3);
        var sites = new List<StaticCallSite>();
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        while (lines.Next(out var header, out var fields))
        {
            if (fields[1] is not ("E8" or "E9")) throw lines.Bad($"'{fields[1]}' is neither E8 (call) nor E9 (tail jmp)");
            // A thousand sites share a key: keep one string of it.
            if (!names.TryGetValue(fields[2], out var name)) names[fields[2]] = name = fields[2];
            sites.Add(new(lines.Address(fields[0], header.TextBase), fields[1] == "E9", default, name));
        }

        lines.RequireAscending(sites, site => site.Address);
        return new(lines.Header.KernelName, lines.Header.TextBase, sites);
    }

    public void Write(TextWriter writer)
    {
        new TableHeader(KernelName, TextBase, Sites.Count).Write(writer, Lines);
        foreach (var site in Sites) writer.Write($"{site.Address - TextBase:x},{(site.IsTailCall ? "E9" : "E8")},{site.KeyName}\n");
    }
}
