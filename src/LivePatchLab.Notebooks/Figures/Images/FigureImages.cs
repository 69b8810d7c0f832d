using System.ComponentModel;

namespace LivePatchLab.Notebooks;

/// <summary>
/// Gives outputs that have a picture its image (PNG), for readers that show neither scripts nor drawings. A headless Chromium draws it, when there is one; it is
/// started with the first picture that no cache has and ends with this object. Without one, or when it fails, outputs stay as they are: an image is never what a cell waits for in vain.
/// </summary>
public sealed class FigureImages : IDisposable
{
    /// <summary>Set to "off", no image is drawn.</summary>
    public const string Variable = "LIVEPATCH_IMAGES";

    private const long CacheBytesMax = 64 << 20;
    private const int FailuresMax = 2;
    private static readonly TimeSpan DrawTime = TimeSpan.FromSeconds(20);

    private readonly string? _chromiumPath;
    private readonly FigureImageCache _cache;
    private readonly Action<string> _report;
    private readonly TimeSpan _drawTime;
    private readonly SemaphoreSlim _drawing = new(1);
    private readonly Lock _lock = new();
    private HeadlessChromium? _chromium;
    private int _failures;
    private bool _isDisposed;

    /// <param name="chromiumPath">The browser; null for none.</param>
    /// <param name="cacheFolder">Where images are kept.</param>
    /// <param name="report">Told in one line why there is no image.</param>
    /// <param name="drawTime">How long one image may take, the start of the browser included.</param>
    internal FigureImages(string? chromiumPath, string cacheFolder, Action<string> report, TimeSpan? drawTime = null)
    {
        _chromiumPath = chromiumPath;
        _cache = new(cacheFolder, CacheBytesMax);
        _report = report;
        _drawTime = drawTime ?? DrawTime;
    }

    /// <summary>The process id of the browser's shell while it runs.</summary>
    internal int? ChromiumProcessId => _chromium?.ProcessId;

    internal string? ChromiumProfile => _chromium?.Profile;

    /// <summary>With the browser and the cache that are here; null where images are turned off.</summary>
    /// <param name="report">Told in one line why there is no image.</param>
    public static FigureImages? FromEnvironment(Action<string> report)
        => string.Equals(Environment.GetEnvironmentVariable(Variable), "off", StringComparison.OrdinalIgnoreCase)
            ? null
            : new(HeadlessChromium.Find(), FigureImageCache.DefaultFolder, report);

    /// <summary>Puts into an output the image that a cache has. True when it has one now, or needs none.</summary>
    public bool TryComplete(MimeBundle bundle)
    {
        if (bundle.Picture is not { } picture || bundle.Has(MimeBundle.Png)) return true;
        if (_cache.Find(picture) is not { } png) return false;
        bundle.Set(MimeBundle.Png, Convert.ToBase64String(png));
        return true;
    }

    /// <summary>Puts an image into an output that has a picture, drawn now if need be. True when it has one now, or needs none.</summary>
    public async Task<bool> CompleteAsync(MimeBundle bundle)
    {
        if (TryComplete(bundle)) return true;
        if (await DrawAsync(bundle.Picture!) is not { } png) return false;
        bundle.Set(MimeBundle.Png, Convert.ToBase64String(png));
        return true;
    }

    /// <summary>Completes the outputs of a notebook; what the image is stands in their metadata.</summary>
    public async Task CompleteAsync(IEnumerable<NotebookOutput> outputs)
    {
        foreach (var output in outputs)
        {
            var (data, metadata) = output switch
            {
                DisplayOutput display => (display.Data, display.Metadata),
                ResultOutput result => (result.Data, result.Metadata),
                _ => (null, null),
            };
            if (data?.Picture is not { } picture || !await CompleteAsync(data)) continue;
            foreach (var (key, value) in picture.Metadata()) metadata![key] = value?.DeepClone();
        }
    }

    /// <summary>Draws an image into the cache, unless it is there, so that <see cref="TryComplete"/> finds it.</summary>
    public async Task PrepareAsync(Picture picture) => await DrawAsync(picture);

    /// <summary>Ends the browser.</summary>
    public void Dispose()
    {
        lock (_lock) _isDisposed = true;
        StopChromium();
    }

    private async Task<byte[]?> DrawAsync(Picture picture)
    {
        if (_chromiumPath is null) return null;
        await _drawing.WaitAsync();
        try
        {
            // Who waited may have waited for this very picture.
            if (_cache.Find(picture) is { } found) return found;
            if (_failures >= FailuresMax) return null;
            using var time = new CancellationTokenSource(_drawTime);
            var png = await Task.Run(() => StartChromium()?.DrawAsync(picture, time.Token) ?? Task.FromResult<byte[]>([]));
            if (png.Length == 0) return null;
            _failures = 0;
            Keep(picture, png);
            return png;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or Win32Exception or InvalidOperationException or UnauthorizedAccessException)
        {
            StopChromium();
            if (_isDisposed) return null;
            var reason = e is OperationCanceledException ? $"no answer within {_drawTime.TotalSeconds:0.#} s" : e.Message.ReplaceLineEndings(" ");
            _report($"no image of a figure: {_chromiumPath}: {reason}{(++_failures < FailuresMax ? "" : $"; not tried again ({Variable}=off turns images off)")}");
            return null;
        }
        finally
        {
            _drawing.Release();
        }
    }

    private void Keep(Picture picture, byte[] png)
    {
        try
        {
            _cache.Add(picture, png);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _report($"the image of a figure is not kept: {e.Message.ReplaceLineEndings(" ")}");
        }
    }

    private HeadlessChromium? StartChromium()
    {
        lock (_lock) return _isDisposed ? null : _chromium ??= new(_chromiumPath!);
    }

    private void StopChromium()
    {
        HeadlessChromium? chromium;
        lock (_lock) (chromium, _chromium) = (_chromium, null);
        chromium?.Dispose();
    }
}
