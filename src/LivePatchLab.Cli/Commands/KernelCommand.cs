using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using LivePatchLab.Linux;

namespace LivePatchLab.Cli;

/// <summary>livepatch kernel: what is in a kernel image.</summary>
internal static class KernelCommand
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public static Command Create()
    {
        var image = new Argument<string>("IMAGE") { Description = "a bzImage (/boot/vmlinuz-…) or a vmlinux" };
        var json = new Option<bool>("--json") { Description = "one JSON object instead of a table" };
        var info = new Command("info", """
            Tells version, codec, symbols, and the sites that a kernel patches while it runs.

            Examples:
              livepatch kernel info /boot/vmlinuz-6.1.0-56-cloud-amd64
              livepatch kernel info --json vmlinux
            """)
        { image, json };
        info.SetAction(parsed =>
        {
            var kernel = KernelImage.Open(parsed.GetValue(image)!).Info();
            Console.Out.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(kernel, Json) : Table(kernel));
            return ExitCode.Done;
        });

        var from = new Argument<string>("IMAGE") { Description = "a bzImage or a vmlinux" };
        var table = new Command("table", """
            Writes the compact table of a kernel's ftrace sites, for 'livepatch patch --table', to stdout.

            Example:
              livepatch kernel table /boot/vmlinuz-6.1.0-56-cloud-amd64 > sites.csv
            """)
        { from };
        table.SetAction(parsed =>
        {
            SiteTable.FromKernel(KernelImage.Open(parsed.GetValue(from)!)).Write(Console.Out);
            return ExitCode.Done;
        });

        return new("kernel", "Kernel images: what is in them.") { info, table };
    }

    private static string Table(KernelInfo kernel)
    {
        var lines = new List<string>
        {
            $"version        {kernel.Version}",
            $"codec          {kernel.Codec}",
            string.Create(CultureInfo.InvariantCulture, $"symbols        {kernel.Symbols:N0}"),
            string.Create(CultureInfo.InvariantCulture, $"ftrace sites   {kernel.FtraceSites:N0}"),
            string.Create(CultureInfo.InvariantCulture, $"jump labels    {kernel.JumpLabels:N0}"),
            string.Create(CultureInfo.InvariantCulture, $"static calls   {kernel.StaticCalls:N0}"),
            "",
            "sites that lie across a boundary of",
            "     bytes    ftrace  jump labels  static calls",
        };
        lines.AddRange(kernel.Straddlers.Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.LineBytes,10}{s.FtraceSites,10:N0}{s.JumpLabels,13:N0}{s.StaticCalls,14:N0}")));
        return string.Join('\n', lines);
    }
}
