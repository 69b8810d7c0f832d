using System.Runtime.CompilerServices;

namespace LivePatchLab.Exploration.Tests;

/// <summary>Texts that were looked at and accepted. With LIVEPATCH_PROMOTE=1 in the environment a test accepts what it has instead of comparing.</summary>
internal static class GoldenFile
{
    public static void ShouldHold(string name, string text, [CallerFilePath] string test = "")
    {
        var path = Path.Combine(Path.GetDirectoryName(test)!, "Golden", name);
        if (Environment.GetEnvironmentVariable("LIVEPATCH_PROMOTE") == "1") File.WriteAllText(path, text + "\n");
        text.ShouldBe(File.ReadAllText(path).ReplaceLineEndings("\n")[..^1], $"{path} holds something else; LIVEPATCH_PROMOTE=1 accepts the new text");
    }
}
