using LivePatchLab.Experiments;
using LivePatchLab.Machine;

namespace LivePatchLab.Notebooks.Tests;

/// <summary>How CPUs, memory, stacks and programs look, and the cells that make them.</summary>
public sealed class MachineViewTests
{
    private static readonly string Locks = Path.Combine(LabSession.Root, "data", "guests", "locks");

    public MachineViewTests() => LabViews.Install();

    [Fact]
    public void A_cpu_shows_its_registers_and_signs_those_that_the_last_step_changed()
    {
        using var program = Program.Load(Locks, cpus: 2);
        Text(program.Cpus[1]).ShouldBe("""
            CPU1: executes guest code; clock 0 cycles, 0 instructions retired

            rax     0000000000000000  r8      0000000000000000
            rbx     0000000000000000  r9      0000000000000000
            rcx     0000000000000000  r10     0000000000000000
            rdx     0000000000000000  r11     0000000000000000
            rsi     0000000000000002  r12     0000000000000000
            rdi     0000000000000001  r13     0000000000000000
            rbp     0000000000000000  r14     0000000000000000
            rsp     000000007eefefa0  r15     0000000000000000
            rip     _start (401000): mov %rsp,%rdx
            rflags  PF ZF IF
            """.ReplaceLineEndings("\n").Replace("000000007eefefa0", program.Cpus[1].Rsp.ToString("x16"), StringComparison.Ordinal));
        program.Step(program.Cpus[1]);
        var text = Text(program.Cpus[1]);
        text.Split('\n').Where(line => line.Contains('*', StringComparison.Ordinal)).Select(line => line[..3]).ShouldBe(["rdx", "rip", "* c"]);
        text.ShouldContain($"rdx     {program.Cpus[1].Rsp:x16} *");
        Text(program.Cpus[0]).ShouldNotContain("*");
        Html(program.Cpus[1]).ShouldContain("background:rgba(0,158,115,0.22)");
        Html(program.Cpus[0]).ShouldNotContain("background");
    }

    [Fact]
    public void A_dump_has_bytes_characters_and_names_and_escapes_them()
    {
        using var program = Program.Load(Locks);
        program.Machine.Memory.Load(new(program.Cpus[0].Rsp), "<b>&'\"..........after"u8);
        var rsp = program.Cpus[0].Rsp;
        (rsp % 16).ShouldBe(0UL);
        Text(program.Memory("rsp", 18)).ShouldBe($"18 bytes at {rsp:x}\n\n{rsp:x}  3c 62 3e 26 27 22 2e 2e  2e 2e 2e 2e 2e 2e 2e 2e  <b>&'\"..........\n{rsp + 16:x}  61 66{new string(' ', 45)}af");
        Html(program.Memory("rsp", 18)).ShouldContain("&lt;b&gt;&amp;&#39;&quot;");
        Html(program.Memory("rsp", 18)).ShouldNotContain("<b>");
        Text(program.Memory("spin_lock", 16)).ShouldEndWith("  spin_lock, site 0");
    }

    [Fact]
    public void Int3_and_sites_are_named_and_shaded()
    {
        using var lab = new LabMachine(new LabMachineOptions { Cpus = 2, Sites = 2, Costs = CostPreset.Unit, Workload = Workload.Idle });
        lab.Machine.TryStoreCode(lab.Machine.Cpus[0], lab.Text.Sites[0], [0xcc]);
        var dump = lab.Machine.Dump(lab.Text.Sites[0], 5);
        foreach (var mark in new[] { "function_0", "site 0", "int3" }) Text(dump).ShouldContain(mark);
        Html(dump).ShouldContain("<span style=\"font-weight:bold;background:rgba(230,159,0,0.3)\">cc</span> <span style=\"background:rgba(0,114,178,0.16)\">");
    }

    [Fact]
    public void A_listing_points_at_the_next_instruction_of_each_cpu()
    {
        using var program = Program.Load(Locks, cpus: 2);
        Text(program.Cpus[0].Disassemble(2)).Split('\n').Single(line => line.Contains("<==", StringComparison.Ordinal)).ShouldEndWith("mov %rsp,%rdx  <== CPU0, CPU1 next");
        Html(program.Cpus[0].Disassemble(2)).ShouldContain("&lt;== CPU0, CPU1 next");
        Text(program.Cpus[0].Stack(2)).ShouldStartWith($"stack of CPU0: 2 words from rsp = {program.Cpus[0].Rsp:x}\n");
    }

    [Fact]
    public async Task A_program_is_loaded_run_and_asked_in_cells()
    {
        var lab = new LabSession();
        (await lab.Text($"#!load --program \"{Locks}\" --cpus 2")).ShouldStartWith("locks: 2 CPUs; not yet run, 5 traced sites");
        (await lab.Text("program.RunUntil(\"spin_lock\")")).ShouldMatch("^CPU[01] before spin_lock \\(401010\\): ");
        (await lab.Text("#!eval \"spin_lock + 8*rdi - 8*rdi\" --cpu 1")).ShouldBe("0x401010 = 4198416 = spin_lock");
        (await lab.Text("program.Cpus[0].Eval(\"2 + 3\") + 1UL")).ShouldBe("6");
        (await lab.Error("#!eval \"rdi +\"")).ShouldBe("cell 5, line 1: \"rdi +\", column 6: a register, a number or a symbol is missing at the end");
        (await lab.Error("#!eval \"rdi\" --on nothing")).ShouldBe("cell 6, line 1: #!eval: --on there is no variable 'nothing'; #!load --program makes one named program");
        (await lab.Error("#!eval \"rdi\" --cpu 2")).ShouldBe("cell 7, line 1: #!eval: --cpu 2 is not in 0 to 1");
        (await lab.Error("#!load --table \"x\" --cpus 2")).ShouldBe("cell 8, line 1: #!load: --cpus goes with --program; #!machine makes the machine of a kernel");
        (await lab.Text("program.Run()")).ShouldBe("ended with status 0");
        (await lab.Text("program")).ShouldStartWith("locks: 2 CPUs; ended with status 0");
        (await lab.Text("program.Output")).ShouldBe("total 6000\n");
        (await lab.Text("program.ExitStatus")).ShouldBe("0");
    }

    [Fact]
    public async Task An_endless_program_is_interrupted_and_can_be_looked_at()
    {
        using var program = Program.Load(Locks, arguments: ["4000000000"]);
        using var source = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await Should.ThrowAsync<OperationCanceledException>(() => Task.Run(() => program.Run(source.Token)));
        program.ExitStatus.ShouldBeNull();
        program.Step().Reason.ShouldBe(MachineStop.Stepped);
    }

    private static string Text(object value) => Formatter.Bundle(value).Text(MimeBundle.Plain)!.ReplaceLineEndings("\n");

    private static string Html(object value) => Formatter.Bundle(value).Text(MimeBundle.Html)!;
}
