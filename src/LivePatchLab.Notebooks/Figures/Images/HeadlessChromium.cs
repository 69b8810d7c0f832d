using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace LivePatchLab.Notebooks;

/// <summary>
/// A Chromium without a window, with a profile of its own and without a network, that draws pictures. It is driven through pipes: when this process ends, however
/// it ends, they close, and Chromium ends with them; the shell between the two then removes the profile.
/// </summary>
internal sealed class HeadlessChromium : IDisposable
{
    /// <summary>Pixels of the image for one of the page: letters stay clear in print and on dense screens, and a figure stays below 150 kB.</summary>
    public const double PixelsPerUnit = 1.5;

    private const string Variable = "LIVEPATCH_CHROMIUM";
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "chrome", "msedge"];
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(3);

    // File descriptors 3 and 4 are what --remote-debugging-pipe reads and writes. In a session of its own Chromium does not get the Ctrl-C that a terminal, or Jupyter's interrupt by signal, sends to the group.
    private const string Script = """
        profile=$1; shift
        $(command -v setsid) "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1
        rm -rf "$profile"
        """;

    private readonly Process _process;
    private readonly string _profile;
    private readonly DevToolsPipe _pipe;
    private string? _session;
    private string? _frame;

    /// <exception cref="System.ComponentModel.Win32Exception">There is no shell that could start it.</exception>
    public HeadlessChromium(string path)
    {
        _profile = Directory.CreateTempSubdirectory("livepatch-chromium-").FullName;
        var start = new ProcessStartInfo("/bin/sh")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            ArgumentList =
            {
                "-c", Script, "livepatch-chromium", _profile, path,
                "--headless", "--remote-debugging-pipe", $"--user-data-dir={_profile}", "--no-first-run", "--no-default-browser-check",
                "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--disable-sync", "--disable-background-networking", "--disable-component-update",
                "--disable-breakpad", "--hide-scrollbars", "--mute-audio", "--force-color-profile=srgb", "--font-render-hinting=none",
                // Every name is unknown, and what needs none goes to a port that nobody listens at.
                "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>",
            },
        };
        if (Environment.IsPrivilegedProcess) start.ArgumentList.Add("--no-sandbox");
        start.ArgumentList.Add("about:blank");
        try
        {
            _process = Process.Start(start)!;
        }
        catch
        {
            Directory.Delete(_profile);
            throw;
        }
        _pipe = new(_process.StandardInput.BaseStream, _process.StandardOutput.BaseStream);
    }

    /// <summary>For tests: the shell that holds Chromium.</summary>
    internal int ProcessId => _process.Id;

    internal string Profile => _profile;

    /// <summary>What the variable LIVEPATCH_CHROMIUM names, or the first browser of the family in PATH; null without one, and on Windows, which has no such pipes.</summary>
    public static string? Find()
    {
        if (OperatingSystem.IsWindows()) return null;
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named) return named;
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        return Names.SelectMany(name => folders.Select(folder => Path.Combine(folder, name))).FirstOrDefault(File.Exists);
    }

    /// <summary>Draws a picture on white.</summary>
    /// <returns>A PNG of <see cref="PixelsPerUnit"/> times the picture's size.</returns>
    /// <exception cref="IOException">Chromium has ended or refuses.</exception>
    /// <exception cref="OperationCanceledException">The time is over; Chromium may hang and should be disposed of.</exception>
    public async Task<byte[]> DrawAsync(Picture picture, CancellationToken token)
    {
        await OpenPageAsync(token);
        var (width, height) = (picture.Width, picture.Height);
        await _pipe.CallAsync("Page.setDocumentContent", new() { ["frameId"] = _frame, ["html"] = Page(picture) }, _session, token);
        var shot = await _pipe.CallAsync("Page.captureScreenshot", new()
        {
            ["format"] = "png",
            ["captureBeyondViewport"] = true,
            ["clip"] = new JsonObject { ["x"] = 0, ["y"] = 0, ["width"] = width, ["height"] = height, ["scale"] = PixelsPerUnit },
        }, _session, token);
        return Convert.FromBase64String(shot["data"]?.GetValue<string>() ?? throw new IOException("Page.captureScreenshot: no data"));
    }

    public void Dispose()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended already.
        }
        if (!_process.WaitForExit(StopTime))
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit(StopTime);
        }
        _process.Dispose();
        // Where the shell was killed it could not do this.
        try
        {
            if (Directory.Exists(_profile)) Directory.Delete(_profile, recursive: true);
        }
        catch (IOException)
        {
            // A process that is just dying writes once more; the system's own sweep of temporary files takes what it leaves.
        }
    }

    private static string Page(Picture picture) => string.Create(CultureInfo.InvariantCulture,
        $"<!DOCTYPE html><html><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"></head>"
        + $"<body style=\"margin:0;background:#ffffff;color:#1d1f23;width:{picture.Width}px\">{picture.Svg}</body></html>");

    private async Task OpenPageAsync(CancellationToken token)
    {
        if (_session is not null) return;
        var target = await _pipe.CallAsync("Target.createTarget", new() { ["url"] = "about:blank" }, null, token);
        var attached = await _pipe.CallAsync("Target.attachToTarget", new() { ["targetId"] = target["targetId"]?.DeepClone(), ["flatten"] = true }, null, token);
        var session = attached["sessionId"]!.GetValue<string>();
        await _pipe.CallAsync("Emulation.setScriptExecutionDisabled", new() { ["value"] = true }, session, token);
        var tree = await _pipe.CallAsync("Page.getFrameTree", [], session, token);
        _frame = tree["frameTree"]!["frame"]!["id"]!.GetValue<string>();
        _session = session;
    }
}
