using System.Text.RegularExpressions;

namespace LivePatchLab.House.Tests;

/// <summary>Which kernels tests/run.sh gets, with an archive that serves what the test wants.</summary>
public sealed partial class KernelFetchTests : IDisposable
{
    private const string Attention = "== ATTENTION: ";

    private readonly TestRunTree _tree = new();

    public KernelFetchTests()
    {
        _tree.Environment["LIVEPATCH_KERNELS"] = null;
        _tree.Environment["XDG_CACHE_HOME"] = _tree.At("cache");
        _tree.WriteProgram("id", "echo 0");
        _tree.WriteProgram("apt-get", """
            case "$*" in
                *indextargets*) printf 'Debian http://mirror.example/debian/\nOther http://other.example/\nDebian-Security http://mirror.example/security/\n' ;;
                *update*) sed -n 's/.*SourceList=\([^ ]*\).*/\1/p' <<<"$*" | xargs cat >>sources; echo update >>asked ;;
                *download*) echo "${@: -1}" >>"$LOG"; echo "${@: -1}" >package.deb ;;
            esac
            """);
        _tree.WriteProgram("apt-cache", "grep \"^${@: -1}\" \"$SERVED\"");
        _tree.WriteProgram("dpkg", "mkdir -p tree/boot && cp package.deb \"tree/boot/vmlinuz-$(cut -d- -f3- package.deb)\"");
        _tree.Environment["SERVED"] = _tree.At("served");
        _tree.Environment["LOG"] = _tree.At("log");
    }

    public void Dispose() => _tree.Dispose();

    [LinuxFact]
    public void The_releases_whose_counts_are_known_are_fetched_once_and_nothing_is_said()
    {
        Serve([.. Pinned, "linux-image-6.1.0-99-cloud-amd64", "linux-image-6.1.0-99-amd64"]);
        var lines = Run();
        Fetched().ShouldBe(Pinned, ignoreOrder: true);
        lines.ShouldNotContain(line => line.StartsWith(Attention, StringComparison.Ordinal));
        Cached().ShouldBe(Pinned.Select(Image), ignoreOrder: true);
        lines.ShouldContain($"kernels: {_tree.At("cache/livepatchlab/kernels")}");
        var sources = File.ReadAllText(_tree.At("sources"));
        sources.ShouldContain("http://mirror.example/security/ bookworm-security main\n");
        sources.ShouldContain("http://mirror.example/debian/ sid main\n");
        sources.ShouldNotContain("other.example");

        Run();
        Fetched().Count.ShouldBe(Pinned.Count, "the second run has them");
    }

    [LinuxFact]
    public void Another_release_stands_in_and_that_is_said_at_the_end_too()
    {
        // 6.12 is no 6.1, and 100 is newer than 99.
        const string gone = "linux-image-6.1.0-56-cloud-amd64", standIn = "linux-image-6.1.0-100-cloud-amd64";
        List<string> others = [.. Pinned.Where(package => package != gone)];
        others.Count.ShouldBe(Pinned.Count - 1);
        Serve([.. others, "linux-image-6.1.0-99-cloud-amd64", standIn, "linux-image-6.1.0-101-cloud-amd64-unsigned", "linux-image-6.12.999-cloud-amd64"]);
        foreach (var times in (int[])[1, 1])
        {
            var lines = Run();
            var told = lines.Where(line => line.StartsWith(Attention, StringComparison.Ordinal)).ToList();
            told.Count.ShouldBe(2);
            told.ShouldAllBe(line => line.Contains("6.1.0-56-cloud-amd64 is not to be had and 6.1.0-100-cloud-amd64 stands in"));
            lines[^2].ShouldBe(told[0]);
            Fetched().ShouldBe([standIn, .. others], ignoreOrder: true);
            Asked().ShouldBe(times, "the archive is asked once a day");
        }
    }

    [LinuxFact]
    public void Without_an_archive_each_kernel_that_is_missing_is_told()
    {
        Serve([]);
        Told(Run()).ShouldBe(2 * Pinned.Count);
        _tree.WriteProgram("apt-get", "exit 1");
        Told(Run()).ShouldBe(2 * Pinned.Count);
        _tree.WriteProgram("id", "echo 1000");
        Told(Run()).ShouldBe(2 * Pinned.Count);
        Cached().ShouldBeEmpty();

        static int Told(List<string> lines) => lines.Count(line => line.StartsWith(Attention + "no kernel like", StringComparison.Ordinal));
    }

    /// <summary>The packages that kernels.sh names.</summary>
    private static IReadOnlyList<string> Pinned { get; } = [.. PinnedLine().Matches(File.ReadAllText(Path.Combine(LabFolder.Root, "tests", "kernels.sh"))).Select(match => match.Value)];

    private static string Image(string package) => "vmlinuz-" + package.Split('-', 3)[2];

    private List<string> Run()
    {
        var (status, lines) = _tree.Run("*) echo \"kernels: $LIVEPATCH_KERNELS\"; counters 1 1 1 ;;", "House");
        status.ShouldBe(0, string.Join('\n', lines));
        lines[^1].ShouldBe("1 passed, 0 failed");
        Directory.GetDirectories(_tree.At("cache/livepatchlab/kernels")).ShouldBeEmpty("nothing is left but images");
        return lines;
    }

    private void Serve(IEnumerable<string> packages) => _tree.Write("served", string.Concat(packages.Select(package => package + "\n")));

    private List<string> Fetched() => File.Exists(_tree.At("log")) ? [.. File.ReadAllLines(_tree.At("log"))] : [];

    private int Asked() => File.ReadAllLines(_tree.At("asked")).Length;

    private IEnumerable<string> Cached() => Directory.GetFiles(_tree.At("cache/livepatchlab/kernels"), "vmlinuz-*").Select(path => Path.GetFileName(path));

    [GeneratedRegex(@"^linux-(image|binary)-\S+(?= )", RegexOptions.Multiline)]
    private static partial Regex PinnedLine();
}
