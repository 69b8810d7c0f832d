using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// The traced sites of a kernel's .text, without the kernel: 130 KB of text stand for an image of 53 MB. The format is in
/// data/kernels/README.md.
/// </summary>
public sealed class SiteTable
{
    /// <param name="kernelName">As uname -r prints it.</param>
    /// <param name="textBase">Where .text begins.</param>
    /// <param name="sites">Ascending, at least five bytes apart.</param>
    public SiteTable(string kernelName, GuestAddress textBase, IReadOnlyList<FtraceSite> sites)
    {
        KernelName = kernelName;
        TextBase = textBase;
        Sites = sites;
        for (var i = 0; i < sites.Count; i++) EnabledCount += sites[i].IsEnabled ? 1 : 0;
    }

    /// <summary>The kernel's release, as uname -r prints it.</summary>
    public string KernelName { get; }

    public GuestAddress TextBase { get; }

    /// <summary>Ascending, at least five bytes apart.</summary>
    public IReadOnlyList<FtraceSite> Sites { get; }

    /// <summary>How many of them ftrace enables.</summary>
    public int EnabledCount { get; }

    /// <exception cref="BadInputException">There is no such file, or it is not such a table.</exception>
    public static SiteTable Open(string path)
    {
        using var reader = new StringReader(InputFile.ReadText(path));
        return Parse(reader, path);
    }

    /// <param name="reader">The text of the table.</param>
    /// <param name="sourceName">What messages call it; they go on with the line.</param>
    /// <exception cref="BadInputException">It is not such a table.</exception>
    public static SiteTable Parse(TextReader reader, string sourceName) => SiteTableText.Parse(reader, sourceName);

    public void Write(TextWriter writer) => SiteTableText.Write(this, writer);

    /// <summary>The table of a real image: all sites of .text, those that ftrace never enables marked.</summary>
    public static SiteTable FromKernel(KernelImage image) => new(image.Release, image.TextBase, image.TextFtraceSites);
}
