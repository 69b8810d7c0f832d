using System.Text.Json.Nodes;

namespace LivePatchLab.Cli.Tests;

/// <summary>livepatch kernel.</summary>
public sealed class KernelTests
{
    [KernelFact(KernelFolder.ExactCloud61)]
    public void The_cloud_kernels_figures_are_told_as_json_and_as_text()
    {
        var image = KernelFolder.Find(KernelFolder.ExactCloud61)!;
        var json = Livepatch.Run("kernel", "info", image, "--json").ShouldBeDone().Json.AsObject();
        json.Select(field => field.Key).ShouldBe(["version", "codec", "symbols", "ftraceSites", "jumpLabels", "staticCalls", "straddlers"]);
        json["version"]!.GetValue<string>().ShouldBe("6.1.0-56-cloud-amd64");
        json["codec"]!.GetValue<string>().ShouldBe("lz4");
        ((string[])["symbols", "ftraceSites", "jumpLabels", "staticCalls"]).Select(field => json[field]!.GetValue<int>()).ShouldBe([87_347, 37_697, 5_980, 4_276]);
        var line = json["straddlers"]!.AsArray().Single(s => s!["lineBytes"]!.GetValue<int>() == 64)!;
        ((string[])["ftraceSites", "jumpLabels", "staticCalls"]).Select(field => line[field]!.GetValue<int>()).ShouldBe([16, 223, 250]);

        var text = Livepatch.Run("kernel", "info", image).ShouldBeDone().Output;
        foreach (var figure in (string[])["6.1.0-56-cloud-amd64", "lz4", "87,347", "37,697", "5,980", "4,276"]) text.ShouldContain(figure);
    }

    [Theory]
    [KernelData(KernelFolder.ExactCloud510)]
    [KernelData(KernelFolder.ExactCloud61)]
    [KernelData(KernelFolder.ExactGeneric61)]
    [KernelData(KernelFolder.ExactCloud612)]
    [KernelData(KernelFolder.ExactCloud7)]
    public void The_figures_of_a_release_are_those_that_are_known_of_it(string kernel)
    {
        var known = KnownKernel.Named(kernel);
        var json = Livepatch.Run("kernel", "info", "--json", KernelFolder.Find(kernel)!).ShouldBeDone().Json;
        ("vmlinuz-" + json["version"]!.GetValue<string>(), json["codec"]!.GetValue<string>()).ShouldBe((kernel, known.Codec));
        ((string[])["symbols", "ftraceSites", "jumpLabels", "staticCalls"]).Select(field => json[field]!.GetValue<int>()).ShouldBe([known.Symbols, known.FtraceSites, known.JumpLabels, known.StaticCalls]);
        json["straddlers"]!.AsArray().Select(line => line!["ftraceSites"]!.GetValue<int>()).ShouldBe(known.FtraceStraddlers);
    }

    [KernelFact]
    public void A_table_of_a_kernel_says_for_patching_what_the_image_says()
    {
        var image = KernelFolder.Find(KernelFolder.Cloud61)!;
        using var folder = new TemporaryFolder();
        var table = folder.Write("sites.csv", Livepatch.Run("kernel", "table", image).ShouldBeDone().Output);
        var fromTable = Patch("--table", table);
        var fromImage = Patch("--image", image);
        foreach (var field in (string[])["sites", "syncRounds", "ipis", "bytesWritten", "simulatedSeconds"])
            fromTable[field]!.ToJsonString().ShouldBe(fromImage[field]!.ToJsonString(), field);

        static JsonObject Patch(string option, string file)
            => Livepatch.Run("patch", option, file, "--engine", "text_poke_bp_list", "--cpus", "2", "--json").ShouldBeDone().Json.AsObject();
    }

    [Theory]
    [KernelData(KernelFolder.Cloud510)]
    [KernelData(KernelFolder.Cloud61)]
    [KernelData(KernelFolder.Cloud612)]
    [KernelData(KernelFolder.Cloud7)]
    public void Real_text_is_patched_while_cpus_run_it(string kernel)
    {
        var image = KernelFolder.Find(kernel)!;
        var run = Livepatch.Run("patch", "--image", image, "--engine", "text_poke_bp_list", "--cpus", "4", "--workload", "running", "--json").ShouldBeDone().Json;
        run["failure"].ShouldBeNull();
        run["violation"].ShouldBeNull();
        var known = KnownKernel.Named(kernel);
        if (Path.GetFileName(image) == known.Exact) run["sites"]!.GetValue<int>().ShouldBe(known.EnabledSites);
        else run["sites"]!.GetValue<int>().ShouldBeInRange(known.EnabledSites * 9 / 10, known.EnabledSites * 3 / 2);
        run["int3Hits"]!.GetValue<long>().ShouldBeGreaterThan(0);
    }

    [KernelFact]
    public void A_truncated_image_gets_one_line()
    {
        var bytes = File.ReadAllBytes(KernelFolder.Find(KernelFolder.Cloud61)!);
        using var folder = new TemporaryFolder();
        foreach (var length in (int[])[600, 20_000, 3_000_000, bytes.Length / 2])
        {
            var part = folder.Write("part", bytes.AsSpan(0, length));
            Livepatch.Run("kernel", "info", part).ShouldComplain(2, "part");
            Livepatch.Run("patch", "--image", part).ShouldComplain(2, "part");
        }
    }

    [Theory]
    [InlineData("README.md")]
    [InlineData("data/guests/hello")]
    [InlineData("data")]
    [InlineData("no-such-file")]
    public void What_is_no_kernel_gets_one_line(string file)
    {
        Livepatch.Run("kernel", "info", file).ShouldComplain(2, file);
        Livepatch.Run("kernel", "info", "--json", file).ShouldComplain(2, file);
        Livepatch.Run("kernel", "table", file).ShouldComplain(2, file);
        Livepatch.Run("patch", "--image", file).ShouldComplain(2, file);
    }
}
