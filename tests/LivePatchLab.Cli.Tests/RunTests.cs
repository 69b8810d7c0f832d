using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace LivePatchLab.Cli.Tests;

/// <summary>livepatch run.</summary>
public sealed class RunTests
{
    private const string Hello = "data/guests/hello";

    // mov eax, NUMBER; syscall
    private static readonly byte[] Exit = [0xb8, 60, 0, 0, 0, 0x0f, 0x05];
    private static readonly byte[] ExitGroup = [0xb8, 231, 0, 0, 0, 0x0f, 0x05];

    // Writes argv[1], argv[2], …, each with its NUL, and exits with 0.
    private static readonly byte[] WriteArguments =
    [
        0x4c, 0x8d, 0x64, 0x24, 0x10, // lea r12, [rsp+16]
        0x49, 0x8b, 0x34, 0x24, 0x48, 0x85, 0xf6, 0x74, 30, // next: mov rsi, [r12]; test rsi, rsi; je done
        0x48, 0x89, 0xf2, 0x48, 0xff, 0xc2, 0x80, 0x7a, 0xff, 0, 0x75, 0xf7, // mov rdx, rsi; 1: inc rdx; cmp byte [rdx-1], 0; jne 1
        0x48, 0x29, 0xf2, 0xbf, 1, 0, 0, 0, 0x89, 0xf8, 0x0f, 0x05, // sub rdx, rsi; mov edi, 1; mov eax, edi; syscall
        0x49, 0x83, 0xc4, 8, 0xeb, 0xd9, 0x31, 0xff, .. Exit, // add r12, 8; jmp next; done: xor edi, edi
    ];

    [Fact]
    public void A_program_writes_to_stdout_and_nothing_is_on_stderr()
        => Livepatch.Run("run", Hello).ShouldBeDone().Output.ShouldBe("hello from CPU 0 of 1\n");

    [Fact]
    public void Every_cpu_starts_at_the_entry()
        => Livepatch.Run("run", "--cpus", "12", Hello).ShouldBeDone().Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .ShouldBe(Enumerable.Range(0, 12).Select(cpu => $"hello from CPU {cpu} of 12"), ignoreOrder: true);

    [Theory]
    [InlineData("4", "1000", 12_000)]
    [InlineData("64", "20", 3_840)]
    public void Locks_lose_nothing(string cpus, string rounds, int total)
        => Livepatch.Run("run", "--cpus", cpus, "data/guests/locks", rounds).ShouldBeDone().Output.ShouldBe($"total {total}\n");

    [Theory]
    [InlineData("ud", 132, "#UD", "invalid_opcode")]
    [InlineData("de", 136, "#DE", "divide_by_zero")]
    [InlineData("pf", 139, "#PF", "page_fault")]
    [InlineData("gp", 139, "#GP", "privileged")]
    [InlineData("bp", 133, "#BP", "breakpoint")]
    public void A_fault_ends_the_program_as_a_shell_tells_it(string fault, int status, string vector, string function)
        => Livepatch.Run("run", "data/guests/faults", fault).ShouldComplain(status, "data/guests/faults", vector, function);

    [Fact]
    public void A_fault_is_told_with_its_instruction_and_what_was_tried()
    {
        Livepatch.Run("run", "data/guests/faults", "pf").ShouldComplain(139, "CPU0: #PF at 401085, page_fault+0x5: c7 04 25 10 00 00 00 01 00 00 00  movl $1,0x10; user write to 10, which is not mapped (error code 0x6) (SIGSEGV)");
        Livepatch.Run("run", "data/guests/faults", "de").ShouldComplain(136, "CPU0: #DE at ", ", divide_by_zero+0x", "f7 f9  idiv %ecx (SIGFPE)");
        Livepatch.Run("run", "data/guests/faults", "gp").ShouldComplain(139, "privileged+0x5: f4  hlt (SIGSEGV)");
    }

    [Fact]
    public void Guests_print_what_they_print_on_the_bare_processor()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) return;
        foreach (var command in Enumerable.Range(0, 9).Select(kernel => (string[])["data/guests/kernels", $"{kernel}", "3"]).Append(["data/guests/sites", "50"]))
        {
            var native = Livepatch.Start(Path.Combine(LabFolder.Root, command[0]), command[1..]).ShouldBeDone();
            native.Output.Trim().Length.ShouldBe(16, native.Command);
            Livepatch.Run(["run", .. command]).ShouldBeDone().Output.ShouldBe(native.Output, native.Command);
        }
    }

    [Fact]
    public void The_status_is_the_programs_own()
    {
        RunCode([0xbf, 42, 0, 0, 0, .. Exit]).Status.ShouldBe(42); // mov edi, 42
        RunCode([0xbf, 0xff, 0x01, 0, 0, .. ExitGroup]).Status.ShouldBe(255); // mov edi, 0x1ff: eight bits count
    }

    [Fact]
    public void A_cpu_starts_with_what_Linux_and_the_lab_promise()
    {
        RunCode([0x89, 0xf7, .. ExitGroup], "--cpus", "7").Status.ShouldBe(7); // mov edi, esi: how many CPUs
        RunCode([0x89, 0xe7, 0x83, 0xe7, 0x0f, .. Exit]).Status.ShouldBe(0); // mov edi, esp; and edi, 15: aligned
        RunCode([0x8b, 0x3c, 0x24, .. Exit]).Status.ShouldBe(1); // mov edi, [rsp]: argc
        RunCode([0x8b, 0x7c, 0x24, 0x10, .. Exit]).Status.ShouldBe(0); // mov edi, [rsp+16]: argv ends with NULL
        RunCode([0x48, 0x81, 0xec, 0, 0, 0x0f, 0, 0x8b, 0x3c, 0x24, .. Exit]).Status.ShouldBe(0); // sub rsp, 0xf0000; mov edi, [rsp]: 1 MiB of stack
        RunCode([0x48, 0x81, 0xec, 0, 0, 0x10, 0, 0x8b, 0x3c, 0x24, .. Exit]).Status.ShouldBe(139); // sub rsp, 0x100000: and no more
    }

    [Theory]
    [InlineData("--verbose")]
    [InlineData("--")]
    [InlineData("--", "--")]
    [InlineData("--", "--cpus")]
    [InlineData("--cpus", "3")]
    [InlineData("--cpus=3", "--engine", "none", "--stats")]
    [InlineData("one", "--stats", "true", "--", "two", "--help")]
    [InlineData("--help")]
    [InlineData("--version")]
    [InlineData("-h", "-?", "/?")]
    [InlineData("@no-such-file", "[diagram]", "")]
    [InlineData("", "a b", "\"quoted\"", "$HOME", "*", "ä\n")]
    public void All_that_follows_the_program_is_the_programs(params string[] arguments)
    {
        using var folder = new TemporaryFolder();
        var program = folder.Write("arguments", TinyProgram.Of(WriteArguments));
        var expected = string.Concat(arguments.Select(argument => argument + "\0"));
        Livepatch.Run(["run", program, .. arguments]).ShouldBeDone().Output.ShouldBe(expected);
        Livepatch.Run(["run", "--", program, .. arguments]).ShouldBeDone().Output.ShouldBe(expected);
        Livepatch.Run(["run", "--cpus", "1", "--engine=interpreter", "--seed:7", program, .. arguments]).ShouldBeDone().Output.ShouldBe(expected);

        // An option that takes no value does not take the program for one.
        var run = Livepatch.Run(["run", "--stats", program, .. arguments]);
        (run.Status, run.Output, run.ErrorLines.Length).ShouldBe((0, expected, 1));
    }

    [Theory]
    [InlineData("--engin", "auto", "Did you mean --engine?")]
    [InlineData("-x", "", "no such option")]
    [InlineData("@no-such-file", "", "no such file")]
    [InlineData("--cpus", "--stats", "--cpus")]
    [InlineData("--cpus", "--", "--cpus: its value is missing")]
    public void What_stands_before_the_program_is_ours(string first, string second, string hint)
        => Livepatch.Run("run", first, second, Hello).ShouldComplain(2, hint);

    [Theory]
    [InlineData("-program")]
    [InlineData("@program")]
    [InlineData("true")]
    public void A_program_may_be_named_like_anything_else(string name)
    {
        using var folder = new TemporaryFolder();
        folder.Write(name, TinyProgram.Of([0xbf, 42, 0, 0, 0, .. Exit]));
        Livepatch.RunIn(folder.At(""), "run", "--seed", "1", name).Status.ShouldBe(42);
        Livepatch.RunIn(folder.At(""), "run", "--stats", name).Status.ShouldBe(42);
        Livepatch.RunIn(folder.At(""), "run", "--", name, "--").Status.ShouldBe(42);
    }

    [Fact]
    public void Help_before_the_program_is_ours_and_says_what_comes_first()
    {
        var help = Livepatch.Run("run", "--help", Hello).ShouldBeDone().Output;
        help.ShouldContain("All that follows PROGRAM is the program's as it stands");
        help.ShouldContain("\n  livepatch run [options] <PROGRAM> [<ARG>...]\n");
    }

    [Fact]
    public void A_system_call_that_is_not_there_is_unsupported_and_named()
    {
        using var folder = new TemporaryFolder();
        var program = folder.Write("getpid", TinyProgram.Of(0xb8, 39, 0, 0, 0, 0x0f, 0x05));
        Livepatch.Run("run", program).ShouldComplain(3, "system call 39", "40007d");
    }

    [Fact]
    public void An_instruction_that_is_not_there_is_an_invalid_opcode_and_no_silent_nop()
    {
        RunCode([0xc5, 0xfc, 0x58, 0xc1, .. Exit]).Status.ShouldBe(132); // vaddps ymm0, ymm0, ymm1
        RunCode([0x0f, 0xff, 0xc0, .. Exit]).Status.ShouldBe(132); // ud0
    }

    [Fact]
    public void Files_that_are_no_such_program_get_one_line()
    {
        Livepatch.Run("run", "README.md").ShouldComplain(2, "README.md", "ELF");
        Livepatch.Run("run", "no-such-file").ShouldComplain(2, "no-such-file");
        Livepatch.Run("run", "data").ShouldComplain(2, "data");
        using var folder = new TemporaryFolder();
        var bytes = TinyProgram.Of(Exit);
        bytes[0x10] = 3; // ET_DYN
        Livepatch.Run("run", folder.Write("pie", bytes)).ShouldComplain(2, "-static");
        (bytes[0x10], bytes[0x12]) = (2, 40); // EM_ARM
        Livepatch.Run("run", folder.Write("arm", bytes)).ShouldComplain(2, "arm");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(63)]
    [InlineData(200)]
    [InlineData(4_200)]
    [InlineData(8_700)]
    public void A_truncated_program_gets_one_line(int length)
    {
        using var folder = new TemporaryFolder();
        var bytes = File.ReadAllBytes(LabFolder.Guest("hello"));
        bytes.Length.ShouldBeGreaterThan(length);
        Livepatch.Run("run", folder.Write("part", bytes.AsSpan(0, length))).ShouldComplain(2, "part");
    }

    [Theory]
    [InlineData("--cpus", "0", "1 to 1024")]
    [InlineData("--cpus", "5000", "1 to 1024")]
    [InlineData("--cpus", "many", "number")]
    [InlineData("--seed", "-1", "number")]
    [InlineData("--engine", "interpretr", "interpreter")]
    [InlineData("--engin", "auto", "--engine")]
    public void A_wrong_option_gets_one_line_that_says_what_would_do(string option, string value, string hint)
    {
        var arguments = new[] { "run", option, value, Hello };
        Livepatch.Run(arguments).ShouldComplain(2, hint);
    }

    [Fact]
    public void Stats_are_one_object_on_stderr_and_the_same_for_a_seed()
    {
        JsonObject[] stats = [.. new[] { "7", "7", "8" }.Select(Stats)];
        foreach (var each in stats)
        {
            ((string[])["interpreter", "auto"]).ShouldContain(each["engine"]!.GetValue<string>());
            each["cpus"]!.GetValue<int>().ShouldBe(4);
            each["instructions"]!.GetValue<long>().ShouldBeGreaterThan(10_000);
            each["stateHash"]!.GetValue<string>().Length.ShouldBe(16);
            each["hostSeconds"]!.GetValue<double>().ShouldBeGreaterThan(0);
            each.Remove("hostSeconds");
            each.Remove("mips").ShouldBeTrue();
            each.Remove("translationSeconds").ShouldBeTrue();
        }

        stats[1].ToJsonString().ShouldBe(stats[0].ToJsonString());
        // Which CPU gets the lock is chance, so another seed spins another number of times.
        stats[2]["instructions"]!.GetValue<long>().ShouldNotBe(stats[0]["instructions"]!.GetValue<long>());

        static JsonObject Stats(string seed)
        {
            var run = Livepatch.Run("run", "--cpus", "4", "--seed", seed, "--stats", "data/guests/locks", "100");
            (run.Status, run.Output).ShouldBe((0, "total 1200\n"));
            return JsonNode.Parse(run.ErrorLines.ShouldHaveSingleItem())!.AsObject();
        }
    }

    [Fact]
    public void Stats_say_where_the_instructions_were_executed_and_the_state_is_the_same_in_every_engine()
    {
        List<JsonObject> all = [];
        foreach (var engine in (string[])["auto", "interpreter", "translator"])
        {
            var run = Livepatch.Run("run", "--engine", engine, "--cpus", "4", "--stats", "data/guests/locks", "500");
            if (IsUnsupported(run, engine)) continue;
            (run.Status, run.Output).ShouldBe((0, "total 6000\n"));
            var stats = JsonNode.Parse(run.ErrorLines.ShouldHaveSingleItem())!.AsObject();
            all.Add(stats);
            var (native, interpreted, translated) = (Count("nativeInstructions"), Count("interpretedInstructions"), Count("translatedBlocks"));
            (native + interpreted).ShouldBe(Count("instructions"), engine);
            if (stats["engine"]!.GetValue<string>() == "interpreter")
            {
                (native, translated, Count("translatedBytes"), Count("foundAgain"), Count("cacheFlushes"), stats["exits"]!.AsObject().Count).ShouldBe((0, 0, 0, 0, 0, 0), engine);
                Count("decodedBlocks").ShouldBeGreaterThan(10);
                Count("decodedBytes").ShouldBeGreaterThan(Count("decodedBlocks"));
            }
            else
            {
                native.ShouldBeGreaterThan(interpreted, engine);
                translated.ShouldBeGreaterThan(0);
                Count("translatedInstructions").ShouldBeGreaterThanOrEqualTo(translated);
                Count("translatedBytes").ShouldBeGreaterThan(Count("translatedInstructions"));
                stats["translationSeconds"]!.GetValue<double>().ShouldBeGreaterThan(0);
                stats["exits"]!.AsObject().Sum(exit => exit.Value!.GetValue<long>()).ShouldBeGreaterThan(0);
            }

            long Count(string name) => stats[name]!.GetValue<long>();
        }

        all.Count.ShouldBeGreaterThanOrEqualTo(2);
        all.Select(stats => (stats["stateHash"]!.GetValue<string>(), stats["instructions"]!.GetValue<long>())).Distinct().ShouldHaveSingleItem();
    }

    [Theory]
    [InlineData("auto")]
    [InlineData("interpreter")]
    [InlineData("translator")]
    public void Every_engine_runs_programs_and_tells_their_faults_or_says_that_it_is_not_to_be_had_here(string engine)
    {
        var run = Livepatch.Run("run", "--engine", engine, "data/guests/kernels", "8", "100");
        if (IsUnsupported(run, engine)) return;
        run.ShouldBeDone().Output.ShouldBe(Livepatch.Run("run", "--engine", "interpreter", "data/guests/kernels", "8", "100").Output);
        Livepatch.Run("run", "--engine", engine, "data/guests/faults", "de").ShouldComplain(136, "#DE", "divide_by_zero");
        Livepatch.Run("run", "--engine", engine, "data/guests/faults", "pf").ShouldComplain(139, "page_fault+0x5: c7 04 25 10 00 00 00 01 00 00 00  movl $1,0x10");
    }

    /// <summary>The translator is for x86-64 processors; elsewhere one line says so.</summary>
    private static bool IsUnsupported(Livepatch run, string engine)
    {
        if (engine != "translator" || run.Status != 3) return false;
        run.ShouldComplain(3, "--engine translator: ", "leave the option out");
        return true;
    }

    private static Livepatch RunCode(byte[] code, params string[] options)
    {
        using var folder = new TemporaryFolder();
        return Livepatch.Run(["run", .. options, folder.Write("tiny", TinyProgram.Of(code))]);
    }
}
