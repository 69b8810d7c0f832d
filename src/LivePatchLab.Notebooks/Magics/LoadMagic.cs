using LivePatchLab.Experiments;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks;

/// <summary>#!load: what a machine can be made of, from a file.</summary>
internal static class LoadMagic
{
    /// <summary>The variable that <c>#!machine</c> takes its kernel from when it is told no other.</summary>
    public const string KernelVariable = "kernel";

    public static Magic Create() => new("load", "Loads a kernel image, a table of patch sites, or a small program.", Run)
    {
        Parameters =
        [
            new("image", "a bzImage or vmlinux; sets the variables image and kernel"),
            new("table", "a site table, as livepatch kernel sites writes it; sets the variables table and kernel"),
            new("program", $"a static freestanding ELF, on a machine of its own and not yet run; sets the variable program. {string.Join(", ", EmbeddedGuests.Names)} travel with the lab"),
            new("arguments", "the program's, with spaces between them"),
            new("cpus", $"of the program's machine: 1 to {MachineOptions.CpusMax}") { Default = "1" },
            new("seed", "of the program's machine: what all chance is drawn from") { Default = "1" },
        ],
        Examples = ["#!load --image /boot/vmlinuz-6.1.0-56-cloud-amd64", "#!load --table data/kernels/6.1.0-56-cloud.ftrace.csv", "#!load --program locks --cpus 2"],
    };

    private static Task Run(MagicCall call)
    {
        var given = new[] { "image", "table", "program" }.Where(call.Has).ToArray();
        if (given.Length != 1)
            throw new UserErrorException($"#!load takes one of --image, --table and --program; {(given.Length == 0 ? "none is" : $"{given.Length} are")} given");
        var path = call.Text(given[0]);
        if (given[0] != "program" && new[] { "arguments", "cpus", "seed" }.FirstOrDefault(call.Has) is { } misplaced)
            throw call.Refuse(misplaced, "goes with --program; #!machine makes the machine of a kernel");
        object loaded = given[0] switch
        {
            "image" => KernelImage.Open(path),
            "table" => SiteTable.Open(path),
            _ => Program.Load(path, call.Count("cpus", 1, MachineOptions.CpusMax), LabParameters.SeedOf(call, "seed").Value, arguments: call.Text("arguments").Split(' ', StringSplitOptions.RemoveEmptyEntries)),
        };
        call.Set(given[0], loaded);
        if (loaded is not Program)
            call.Set(KernelVariable, loaded);
        call.Display(loaded);
        return Task.CompletedTask;
    }
}
