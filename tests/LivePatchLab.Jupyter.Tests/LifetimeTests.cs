using System.Diagnostics;
using System.Text.Json.Nodes;
using LivePatchLab.Linux;

namespace LivePatchLab.Jupyter.Tests;

/// <summary>How the kernel is installed, started and ended.</summary>
public sealed class LifetimeTests
{
    [ZmqFact]
    public void A_shutdown_is_answered_and_ends_the_process()
    {
        using var kernel = new KernelProcess();
        var answer = kernel.Ask("shutdown_request", new() { ["restart"] = true }, kernel.Control);
        answer.Status.ShouldBe("ok");
        answer.Reply["restart"].ShouldBe("true");
        answer.Heard.ShouldContain(message => message.Type == "shutdown_reply");
        kernel.Process.WaitForExit();
        kernel.Process.ExitCode.ShouldBe(0);
    }

    [ZmqFact]
    public void A_shutdown_ends_the_process_while_a_cell_runs()
    {
        using var kernel = new KernelProcess();
        var loop = kernel.Send("execute_request", new() { ["code"] = "Console.Write(\"on\"); while (true) { }" });
        while (kernel.HearOf(loop).Type != "stream") { }
        kernel.Ask("shutdown_request", channel: kernel.Control).Status.ShouldBe("ok");
        kernel.Process.WaitForExit();
        kernel.Process.ExitCode.ShouldBe(0);
    }

    [ZmqFact]
    public void The_end_of_the_Jupyter_that_started_it_ends_the_kernel()
    {
        using var parent = Process.Start(new ProcessStartInfo("sleep", ["600"]))!;
        try
        {
            using var kernel = new KernelProcess(("JPY_PARENT_PID", $"{parent.Id}"));
            kernel.Execute("1 + 1").Text.ShouldBe("2");
            parent.Kill();
            kernel.Process.WaitForExit();
            kernel.Process.ExitCode.ShouldBe(0);
        }
        finally
        {
            parent.Kill();
        }
    }

    [Fact]
    public void Install_writes_the_kernelspec()
    {
        var folder = Directory.CreateTempSubdirectory("livepatch-");
        try
        {
            var (status, output, _) = Run("jupyter", "install", "--prefix", folder.FullName);
            status.ShouldBe(0);
            var path = Path.Combine(folder.FullName, "share", "jupyter", "kernels", "livepatch", "kernel.json");
            output.Trim().ShouldBe(path);
            var spec = JsonNode.Parse(File.ReadAllText(path))!;
            spec["interrupt_mode"]!.GetValue<string>().ShouldBe("message");
            spec["argv"]!.AsArray().Select(word => word!.GetValue<string>()).ShouldBe([KernelProcess.Program, "jupyter", "kernel", "{connection_file}"]);
            spec["display_name"]!.GetValue<string>().ShouldBe("C# (LivePatchLab)");
            var files = Directory.GetFiles(Path.GetDirectoryName(path)!).Order(StringComparer.Ordinal).ToArray();
            files.Select(Path.GetFileName).ShouldBe(["kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"]);
            // The header of a PNG, and its width and height (ISO/IEC 15948, 11.2.2).
            foreach (var (file, size) in new[] { (files[1], 32), (files[2], 64) })
                Convert.ToHexString(File.ReadAllBytes(file)[..24]).ShouldBe($"89504E470D0A1A0A0000000D49484452{size:X8}{size:X8}");
            System.Xml.Linq.XDocument.Load(files[3]).Root!.Name.LocalName.ShouldBe("svg");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("", "not JSON")]
    [InlineData("[]", "JSON object")]
    [InlineData("{}", "it has no transport")]
    [InlineData("""{"transport":"pigeon"}""", "neither tcp nor ipc")]
    [InlineData("""{"transport":"tcp","ip":"127.0.0.1","signature_scheme":"hmac-sha256","key":""}""", "its key is empty")]
    [InlineData("""{"transport":"tcp","ip":"127.0.0.1","signature_scheme":"hmac-md5","key":"k"}""", "not hmac-sha256")]
    [InlineData("""{"transport":"tcp","ip":"127.0.0.1","signature_scheme":"hmac-sha256","key":"k","shell_port":70000}""", "shell_port is no port")]
    [InlineData("""{"transport":"tcp","ip":"\ud800","signature_scheme":"hmac-sha256","key":"k"}""", "no Unicode")]
    public void A_bad_connection_file_is_refused_in_one_line(string text, string problem)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, text);
            Should.Throw<BadInputException>(() => ConnectionFile.Read(path)).Message.ShouldSatisfyAllConditions(m => m.ShouldContain(problem), m => m.ShouldStartWith(path));
            var (status, _, errors) = Run("jupyter", "kernel", path);
            status.ShouldBe(2);
            errors.Trim().Split('\n').ShouldHaveSingleItem().ShouldContain(problem);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("644", "others can read or write it (mode 0644)")]
    [InlineData("620", "others can read or write it (mode 0620)")]
    [InlineData("600", "it has no transport")]
    public void A_connection_file_that_others_can_read_or_write_is_refused(string mode, string problem)
    {
        if (OperatingSystem.IsWindows()) return;
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, "{}");
            File.SetUnixFileMode(path, (UnixFileMode)Convert.ToInt32(mode, 8));
            Should.Throw<BadInputException>(() => ConnectionFile.Read(path)).Message.ShouldSatisfyAllConditions(m => m.ShouldContain(problem), m => m.ShouldStartWith(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_connection_file_of_somebody_else_is_refused()
    {
        if (!OperatingSystem.IsLinux()) return;
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, "{}");
            using var chown = Process.Start(new ProcessStartInfo("chown", ["65534", path]) { RedirectStandardError = true })!;
            chown.WaitForExit();
            // Only root can give a file away; whoever could not still owns it, and is told what else is wrong.
            Should.Throw<BadInputException>(() => ConnectionFile.Read(path)).Message
                .ShouldContain(chown.ExitCode == 0 ? "it belongs to user 65534, who could run code as you" : "it has no transport");
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("true", true)]
    [InlineData("TRUE", true)]
    [InlineData("1", true)]
    [InlineData("0", false)]
    [InlineData("yes", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void The_variable_that_allows_it_is_read_as_jupyter_core_reads_it(string? value, bool allowed) => ConnectionFileAccess.IsAllowed(value).ShouldBe(allowed);

    private static (int Status, string Output, string Errors) Run(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(KernelProcess.Program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.Result);
    }
}
