using System.Security.Cryptography;
using System.Text;

namespace LivePatchLab.Notebooks;

/// <summary>Images that have been drawn, by what they were drawn from. A file is the image and then the SHA-256 of it, which readers of images pass over: one that does not hold is no entry.</summary>
internal sealed class FigureImageCache(string folder, long bytesMax)
{
    /// <summary>To be raised when a picture is drawn in another way, so that no image of the old way is found.</summary>
    private const string RendererVersion = "1";

    /// <summary>The user's own.</summary>
    public static string DefaultFolder
    {
        get
        {
            var caches = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } named && Path.IsPathRooted(named)
                ? named
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
            return Path.Combine(caches, "livepatchlab", "figures");
        }
    }

    /// <summary>The image of a picture, or null when there is none that is whole.</summary>
    public byte[]? Find(Picture picture)
    {
        try
        {
            var path = PathOf(picture);
            if (!File.Exists(path)) return null;
            var content = File.ReadAllBytes(path);
            var length = content.Length - SHA256.HashSizeInBytes;
            if (length <= 0 || !SHA256.HashData(content.AsSpan(0, length)).AsSpan().SequenceEqual(content.AsSpan(length))) return null;
            // The time of the last use: the entries that nobody used for longest go first.
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
            return content[..length];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Another process may be clearing up, or the folder is not ours: the image is drawn again.
            return null;
        }
    }

    /// <summary>Keeps an image, and lets go of the oldest when there is no room.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    public void Add(Picture picture, byte[] png)
    {
        AtomicFile.Write(PathOf(picture), [.. png, .. SHA256.HashData(png)]);
        var files = new DirectoryInfo(folder).GetFiles("*.png").OrderByDescending(file => file.LastWriteTimeUtc).ToArray();
        var bytes = 0L;
        foreach (var file in files)
        {
            bytes += file.Length;
            if (bytes > bytesMax) file.Delete();
        }
    }

    private string PathOf(Picture picture)
    {
        var key = SHA256.HashData(Encoding.UTF8.GetBytes($"{RendererVersion}\n{picture.Svg}"));
        return Path.Combine(folder, Convert.ToHexStringLower(key) + ".png");
    }
}
