using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// A real kernel's own text: the image where it is linked, its traced sites as ftrace_init() leaves them at boot (nop for the
/// compiler's call), and its leaf functions for the CPUs to call: code that Linux runs, patched while it runs.
/// </summary>
public sealed class KernelText : TracedText
{
    private KernelText(KernelImage image, IReadOnlyList<GuestAddress> sites, IReadOnlyList<GuestAddress> leaves, GuestAddress end, int cpus)
        : base(sites, leaves, end, cpus) => Image = image;

    public KernelImage Image { get; }

    public override string KernelName => Image.Release;

    /// <summary>Maps the image and writes it all.</summary>
    /// <exception cref="BadInputException">The kernel has no leaf function that could be called.</exception>
    public static KernelText LayOut(GuestMemory memory, KernelImage image, int cpus)
    {
        image.LoadInto(memory);
        foreach (var site in image.FtraceSites) memory.Load(site.Address, SyntheticBodies.Nop5);
        GuestAddress[] leaves = [.. LeafFunctions.Find(image).Select(f => f.Address)];
        if (leaves.Length == 0) throw new BadInputException($"{image.Source}: has no leaf function that the CPUs could call; give --table instead, and a synthetic text is made of its sites");
        GuestAddress[] sites = [.. image.SitesForPatching.Select(s => s.Address)];
        var end = memory.Regions.Max(r => (long)(r.Start + r.Length).Value is var e && e < 0 ? e : long.MinValue);
        var layout = new KernelText(image, sites, leaves, new((ulong)end), cpus);
        layout.LayOutDriver(memory);
        return layout;
    }
}
