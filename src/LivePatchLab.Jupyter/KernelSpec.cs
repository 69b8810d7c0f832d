using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LivePatchLab.Jupyter;

/// <summary>The folder that tells Jupyter of the kernel: kernel.json, and the pictures that it shows beside the name.</summary>
public static class KernelSpec
{
    public const string Name = "livepatch";

    /// <summary>The names by which jupyter_client finds them.</summary>
    private static readonly string[] Logos = ["logo-32x32.png", "logo-64x64.png", "logo-svg.svg"];

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes it; the answer is the path of kernel.json.</summary>
    /// <param name="prefix">As Jupyter's own --prefix; null for the user's data folder.</param>
    /// <param name="program">The words that start livepatch.</param>
    public static string Install(string? prefix, IReadOnlyList<string> program)
    {
        var data = prefix is null ? UserDataFolder() : Path.Combine(Path.GetFullPath(prefix), "share", "jupyter");
        var folder = Path.Combine(data, "kernels", Name);
        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, "kernel.json");
        var spec = new JsonObject
        {
            ["argv"] = new JsonArray([.. program.Concat(["jupyter", "kernel", "{connection_file}"]).Select(word => (JsonNode)word)]),
            ["display_name"] = "C# (LivePatchLab)",
            ["language"] = "C#",
            ["interrupt_mode"] = "message",
            ["metadata"] = new JsonObject { ["debugger"] = false },
        };
        foreach (var logo in Logos) Write(Path.Combine(folder, logo), Resource(logo));
        Write(path, Encoding.UTF8.GetBytes(spec.ToJsonString(Indented) + "\n"));
        return path;
    }

    /// <summary>Renames the file into its place, so that a Jupyter that is reading sees the old one or the new one.</summary>
    private static void Write(string path, byte[] content)
    {
        var temporary = path + ".tmp";
        File.WriteAllBytes(temporary, content);
        File.Move(temporary, path, overwrite: true);
    }

    private static byte[] Resource(string name)
    {
        using var resource = typeof(KernelSpec).Assembly.GetManifestResourceStream(name) ?? throw new InvalidOperationException($"{name} is not in the assembly");
        var content = new byte[resource.Length];
        resource.ReadExactly(content);
        return content;
    }

    /// <summary>Where Jupyter looks for what one user has installed.</summary>
    private static string UserDataFolder()
    {
        if (Environment.GetEnvironmentVariable("JUPYTER_DATA_DIR") is { Length: > 0 } named) return Path.GetFullPath(named);
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        if (RuntimeInformation.IsOSPlatform(OSPlatform.OSX)) return Path.Combine(home, "Library", "Jupyter");
        if (RuntimeInformation.IsOSPlatform(OSPlatform.Windows)) return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData), "jupyter");
        return Path.Combine(Environment.GetEnvironmentVariable("XDG_DATA_HOME") is { Length: > 0 } share ? share : Path.Combine(home, ".local", "share"), "jupyter");
    }
}
