using LivePatchLab.Notebooks;

namespace LivePatchLab.Jupyter;

/// <summary>The images of what one cell shows. A figure goes out at once, with its image when a cache has it; else the image is drawn while the cell goes on, and follows at its end.</summary>
internal sealed class CellImages(FigureImages? images)
{
    /// <summary>The browser's start is in the first image.</summary>
    private static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(1);
    private static volatile bool _isWarm;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, (MimeBundle Bundle, Task Drawn)> _late = [];

    /// <summary>Called before something is shown, or shown anew, under its display id.</summary>
    public void Show(string id, MimeBundle bundle)
    {
        if (images is null) return;
        lock (_lock)
        {
            if (images.TryComplete(bundle)) _late.Remove(id);
            else _late[id] = (bundle, images.PrepareAsync(bundle.Picture!));
        }
    }

    /// <summary>Waits a while for what is being drawn; an image that comes later is in the cache for the next time.</summary>
    /// <param name="result">The cell's result, which is sent once and so waits for its image.</param>
    /// <param name="token">The wish not to wait.</param>
    /// <returns>What has its image now and was shown without.</returns>
    public IReadOnlyList<(string Id, MimeBundle Bundle)> Await(MimeBundle? result, CancellationToken token)
    {
        if (images is null) return [];
        lock (_lock)
        {
            var drawn = _late.Values.Select(each => each.Drawn).ToList();
            if (result is not null && !images.TryComplete(result)) drawn.Add(images.PrepareAsync(result.Picture!));
            if (drawn.Count == 0) return [];
            try
            {
                if (Task.WaitAll([.. drawn], (int)(_isWarm ? Wait : FirstWait).TotalMilliseconds, token)) _isWarm = true;
            }
            catch (OperationCanceledException)
            {
                // The user has interrupted: the figures stay as they were shown.
            }

            if (result is not null) images.TryComplete(result);
            return [.. _late.Where(each => images.TryComplete(each.Value.Bundle)).Select(each => (each.Key, each.Value.Bundle))];
        }
    }
}
