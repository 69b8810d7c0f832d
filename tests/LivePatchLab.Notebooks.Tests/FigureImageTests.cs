using System.Buffers.Binary;
using System.Diagnostics;

namespace LivePatchLab.Notebooks.Tests;

public sealed class FigureImageTests : IDisposable
{
    private readonly TemporaryFolder _cache = new();
    private readonly List<string> _reports = [];

    public void Dispose() => _cache.Dispose();

    [ChromiumFact]
    public async Task A_figure_gets_an_image_of_half_as_many_pixels_again_and_the_browser_leaves_nothing_behind()
    {
        int shell;
        string profile;
        var bundle = Formatter.Bundle(TestFigures.Syncs);
        using (var images = Images(HeadlessChromium.Find()))
        {
            (await images.CompleteAsync(bundle)).ShouldBeTrue(string.Join('\n', _reports));
            (shell, profile) = (images.ChromiumProcessId!.Value, images.ChromiumProfile!);
            Process.GetProcessById(shell).HasExited.ShouldBeFalse();
            Directory.Exists(profile).ShouldBeTrue();
        }
        SizeOf(Png(bundle)).ShouldBe((1200, (int)Math.Ceiling(1.5 * bundle.Picture!.Height)));
        Png(bundle).Length.ShouldBeLessThan(150_000);
        IsThere(shell).ShouldBeFalse();
        Directory.Exists(profile).ShouldBeFalse();
        CommandLinesWith(profile).ShouldBeEmpty();
        _reports.ShouldBeEmpty();
    }

    [ChromiumFact]
    public async Task A_browser_that_was_killed_costs_one_line_and_the_next_figure_gets_a_new_one()
    {
        using var images = Images(HeadlessChromium.Find());
        (await images.CompleteAsync(Formatter.Bundle(TestFigures.Hits))).ShouldBeTrue();
        using (var shell = Process.GetProcessById(images.ChromiumProcessId!.Value)) shell.Kill(entireProcessTree: true);
        (await images.CompleteAsync(Formatter.Bundle(TestFigures.Models))).ShouldBeFalse();
        _reports.ShouldHaveSingleItem().ShouldStartWith("no image of a figure: ");
        (await images.CompleteAsync(Formatter.Bundle(TestFigures.Models))).ShouldBeTrue();
    }

    [Fact]
    public async Task A_browser_that_hangs_is_ended_and_costs_one_line()
    {
        var stub = Script("sleep 600 & echo $! > \"$(dirname \"$0\")/pid\"; wait");
        using var images = Images(stub, TimeSpan.FromSeconds(1));
        var bundle = Formatter.Bundle(TestFigures.Hits);
        (await images.CompleteAsync(bundle)).ShouldBeFalse();
        bundle.Has(MimeBundle.Png).ShouldBeFalse();
        _reports.ShouldBe([$"no image of a figure: {stub}: no answer within 1 s"]);
        images.ChromiumProcessId.ShouldBeNull();
        var sleeper = int.Parse(File.ReadAllText(_cache.File("pid")), System.Globalization.CultureInfo.InvariantCulture);
        for (var i = 0; i < 50 && IsThere(sleeper); i++) await Task.Delay(100);
        IsThere(sleeper).ShouldBeFalse();
    }

    [Fact]
    public async Task A_browser_that_is_none_is_not_tried_for_ever()
    {
        using var images = Images(_cache.File("none"));
        foreach (var figure in new[] { TestFigures.Hits, TestFigures.Models, TestFigures.Syncs })
            (await images.CompleteAsync(Formatter.Bundle(figure))).ShouldBeFalse();
        _reports.Count.ShouldBe(2);
        _reports[1].ShouldEndWith("; not tried again (LIVEPATCH_IMAGES=off turns images off)");
    }

    [Fact]
    public async Task Without_a_browser_outputs_stay_as_they_are_and_nothing_is_said()
    {
        using var images = Images(null);
        var bundle = Formatter.Bundle(TestFigures.Hits);
        (await images.CompleteAsync(bundle)).ShouldBeFalse();
        bundle.Select(form => form.Key).ShouldBe(["text/html", "text/plain", MimeBundle.Plotly]);
        _reports.ShouldBeEmpty();
    }

    [Fact]
    public async Task An_image_of_the_cache_needs_no_browser_and_its_words_go_into_the_metadata()
    {
        var picture = TestFigures.Hits.Picture;
        new FigureImageCache(_cache.File("c"), 1000).Add(picture, [1, 2, 3]);
        using var images = Images(null);
        var output = new DisplayOutput(Formatter.Bundle(TestFigures.Hits));
        await images.CompleteAsync([output, new StreamOutput("stdout", "x")]);
        output.Data.Text(MimeBundle.Png).ShouldBe("AQID");
        output.Metadata[MimeBundle.Png]!["alt"]!.GetValue<string>().ShouldBe(picture.Alt);
        output.Metadata[MimeBundle.Png]!["width"]!.GetValue<int>().ShouldBe(800);
        // The drawing that the image was made from is not in the file a second time.
        new NotebookDocument { Cells = [new(CellKind.Code, "a", "1") { Outputs = [output] }] }.ToJson().Split("<svg").Length.ShouldBe(2);
    }

    [Fact]
    public void A_damaged_entry_of_the_cache_is_none()
    {
        var cache = new FigureImageCache(_cache.File("c"), 1000);
        cache.Add(TestFigures.Hits.Picture, [1, 2, 3]);
        cache.Find(TestFigures.Hits.Picture).ShouldBe([1, 2, 3]);
        cache.Find(TestFigures.Models.Picture).ShouldBeNull();
        var file = Directory.GetFiles(_cache.File("c")).ShouldHaveSingleItem();
        var bytes = File.ReadAllBytes(file);
        bytes[1]++;
        File.WriteAllBytes(file, bytes);
        cache.Find(TestFigures.Hits.Picture).ShouldBeNull();
        File.WriteAllBytes(file, []);
        cache.Find(TestFigures.Hits.Picture).ShouldBeNull();
        cache.Add(TestFigures.Hits.Picture, [4]);
        cache.Find(TestFigures.Hits.Picture).ShouldBe([4]);
    }

    [Fact]
    public void The_cache_lets_go_of_what_nobody_used_for_longest()
    {
        var cache = new FigureImageCache(_cache.File("c"), 2 * (1000 + 32));
        var (a, b, c) = (TestFigures.Hits.Picture, TestFigures.Models.Picture, TestFigures.Syncs.Picture);
        cache.Add(a, new byte[1000]);
        cache.Add(b, new byte[1000]);
        foreach (var file in Directory.GetFiles(_cache.File("c"))) File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddDays(-1));
        cache.Find(a).ShouldNotBeNull();
        cache.Add(c, new byte[1000]);
        cache.Find(b).ShouldBeNull();
        cache.Find(a).ShouldNotBeNull();
        cache.Find(c).ShouldNotBeNull();
    }

    private FigureImages Images(string? chromium, TimeSpan? drawTime = null) => new(chromium, _cache.File("c"), _reports.Add, drawTime);

    private string Script(string body)
    {
        var path = _cache.File("stub");
        File.WriteAllText(path, "#!/bin/sh\n" + body + "\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }

    private static byte[] Png(MimeBundle bundle) => Convert.FromBase64String(bundle.Text(MimeBundle.Png)!);

    private static (int, int) SizeOf(byte[] png)
    {
        png.AsSpan(0, 8).ToArray().ShouldBe([0x89, (byte)'P', (byte)'N', (byte)'G', 13, 10, 26, 10]);
        return (BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(16)), BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(20)));
    }

    /// <summary>A process that was killed may stay in the table, without anything of it, until whoever adopted it looks.</summary>
    private static bool IsThere(int id)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            var state = $"/proc/{id}/stat";
            return !process.HasExited && !(File.Exists(state) && File.ReadAllText(state).Contains(") Z ", StringComparison.Ordinal));
        }
        catch (Exception e) when (e is ArgumentException or IOException)
        {
            return false;
        }
    }

    private static string[] CommandLinesWith(string text) => !Directory.Exists("/proc/self") ? [] :
    [
        .. Directory.EnumerateDirectories("/proc").Where(folder => int.TryParse(Path.GetFileName(folder), out _)).Select(CommandLine).Where(line => line.Contains(text, StringComparison.Ordinal)),
    ];

    private static string CommandLine(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "cmdline"));
        }
        catch (IOException)
        {
            // It ended while we looked.
            return "";
        }
    }
}
