using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>Hot code at the edges of what there is, and in pages whose permissions change under it.</summary>
public sealed class CodePageTests
{
    private const ulong Rounds = 5_000;

    private static readonly GuestAddress LastLow = new(0x7fff_f000), FirstHigh = new(0xffff_ffff_8000_0000), LastHigh = new(0xffff_ffff_ffff_f000);

    public static TheoryData<ExecutionEngine> Engines => LoneCpu.Engines;

    /// <summary>Loops that end with the page, or begin with it, and go on to where nothing is.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void Code_runs_up_to_the_last_byte_of_the_lower_half_and_faults_behind_it(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine);
        var loop = Loop();
        var start = LastLow + (GuestMemory.PageBytes - loop.Length);
        lone.Machine.Memory.Map(LastLow, GuestMemory.PageBytes, LoneCpu.ReadExecute);
        lone.Machine.Memory.Load(start, loop);
        Run(lone, start).ShouldBe(MachineStop.Fault);

        // The address is canonical, but outside of the window.
        lone.Traps.ShouldHaveSingleItem().ShouldBe((TrapVector.PageFault, 0x8000_0000UL, 0x10u, 0x8000_0000UL));
        lone.Cpu.Rax.ShouldBe(Rounds);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void An_instruction_of_which_only_a_part_is_there_faults_at_the_first_byte_that_is_not(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine);
        var loop = Loop();
        byte[] code = [.. loop, 0x48, 0xb8, 1, 2];
        lone.Machine.Memory.Map(LastLow, GuestMemory.PageBytes, LoneCpu.ReadExecute);
        var start = LastLow + (GuestMemory.PageBytes - code.Length);
        lone.Machine.Memory.Load(start, code);
        Run(lone, start).ShouldBe(MachineStop.Fault);
        lone.Traps.ShouldHaveSingleItem().ShouldBe((TrapVector.PageFault, start.Value + (ulong)loop.Length, 0x10u, 0x8000_0000UL));
        lone.Cpu.Rax.ShouldBe(Rounds);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Code_that_goes_over_the_end_of_all_addresses_is_executed_as_it_stands_after_each_change(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine);
        lone.Machine.Memory.Map(LastHigh, GuestMemory.PageBytes, LoneCpu.ReadExecute);
        lone.Machine.Memory.Map(new(0), GuestMemory.PageBytes, LoneCpu.ReadExecute);
        var start = LastHigh + (GuestMemory.PageBytes - 12);

        // mov eax, 0; nop; mov ecx, 0, which has three bytes on the other side; hlt
        lone.Machine.Memory.Load(start, [0xb8, 0, 0, 0, 0, .. Enumerable.Repeat((byte)0x90, 5), 0xb9, 0]);
        lone.Machine.Memory.Load(new(0), [0, 0, 0, 0xf4]);
        for (byte content = 1; content < 60; content++)
        {
            lone.Machine.TryStoreCode(lone.Cpu, content % 2 == 0 ? start + 1 : new(1), [content]).ShouldBeTrue();
            lone.Start(start);
            lone.Run().ShouldBe(MachineStop.Idle);
            (lone.Cpu.Rax, lone.Cpu.Rcx).ShouldBe(content % 2 == 0 ? ((ulong)content, (content - 1UL) << 16) : (content - 1UL, (ulong)content << 16));
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Code_runs_from_the_first_byte_of_the_upper_half(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine);
        lone.Machine.Memory.Map(FirstHigh, GuestMemory.PageBytes, LoneCpu.ReadExecute);
        lone.Machine.Memory.Load(FirstHigh, [.. Loop(), 0xf4]);
        Run(lone, FirstHigh).ShouldBe(MachineStop.Idle);
        lone.Cpu.Rax.ShouldBe(Rounds);
        lone.Start(FirstHigh - 1).Run().ShouldBe(MachineStop.Fault);
        lone.Traps.ShouldHaveSingleItem().Address.ShouldBe(0xffff_ffff_7fff_ffffUL);
    }

    /// <summary>The last address is followed by the first: by wrapping around, an instruction may even lie on both sides.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void Code_goes_over_from_the_last_address_to_the_first(ExecutionEngine engine)
    {
        var loop = Loop();
        for (var inside = 1; inside < loop.Length; inside++)
        {
            using var lone = new LoneCpu(engine);
            lone.Machine.Memory.Map(LastHigh, GuestMemory.PageBytes, LoneCpu.ReadExecute);
            lone.Machine.Memory.Map(new(0), GuestMemory.PageBytes, LoneCpu.ReadExecute);
            byte[] code = [.. loop, 0xf4];
            lone.Machine.Memory.Load(LastHigh + (GuestMemory.PageBytes - inside), code[..inside]);
            lone.Machine.Memory.Load(new(0), code[inside..]);
            Run(lone, LastHigh + (GuestMemory.PageBytes - inside)).ShouldBe(MachineStop.Idle, $"{inside} bytes before the end");
            lone.Cpu.Rax.ShouldBe(Rounds);
            lone.Cpu.Rip.Value.ShouldBe((ulong)(code.Length - inside));
        }
    }

    /// <summary>The last page of all is one of them: behind it comes address 0.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void A_page_that_may_no_longer_be_executed_is_not(ExecutionEngine engine)
    {
        foreach (var page in new[] { LoneCpu.Code, LastHigh })
        {
            using var lone = new LoneCpu(engine);
            lone.Machine.Memory.Map(page, GuestMemory.PageBytes, LoneCpu.ReadExecute);
            lone.Machine.Memory.Load(page, Forever());
            lone.Start(page).Run(50_000).ShouldBe(MachineStop.ClockLimit);
            var rax = lone.Cpu.Rax;
            lone.Machine.Memory.Map(page, GuestMemory.PageBytes, LoneCpu.ReadWrite);
            lone.Run(50_000).ShouldBe(MachineStop.Fault);
            lone.Cpu.Rax.ShouldBe(rax);
            var (vector, rip, errorCode, address) = lone.Traps.ShouldHaveSingleItem();

            // P and I/D: the page is there, and it is a fetch (SDM volume 3, figure 4-12).
            (vector, errorCode, address).ShouldBe((TrapVector.PageFault, 0x11u, rip));
            lone.Machine.Memory.Map(page, GuestMemory.PageBytes, LoneCpu.ReadExecute);
            lone.Start(new(rip)).Run(50_000).ShouldBe(MachineStop.ClockLimit);
            lone.Cpu.Rax.ShouldBeGreaterThan(rax);
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_jump_or_a_way_on_into_a_page_that_may_no_longer_be_executed_faults_there(ExecutionEngine engine)
    {
        foreach (var isJump in new[] { true, false })
        {
            using var lone = new LoneCpu(engine);
            var border = LoneCpu.Code + GuestMemory.PageBytes;
            var start = isJump ? LoneCpu.Code : border - 3;
            lone.Load(start, a =>
            {
                a.inc(rax);
                if (isJump) a.jmp(border.Value);
            });
            lone.Load(border, a =>
            {
                a.inc(rbx);
                a.jmp(start.Value);
            });

            // So many rounds end before the border, by the jump and by the way on alike.
            lone.Start(start).Run(48_000).ShouldBe(MachineStop.ClockLimit);
            lone.Machine.Memory.Map(border, GuestMemory.PageBytes, PagePermissions.Read);
            lone.Run(48_000).ShouldBe(MachineStop.Fault);
            lone.Traps.ShouldHaveSingleItem().ShouldBe((TrapVector.PageFault, border.Value, 0x11u, border.Value));
            lone.Cpu.Rax.ShouldBe(lone.Cpu.Rbx + 1);
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Data_that_becomes_read_only_under_hot_stores_faults_and_data_that_becomes_code_is_code(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.Label(ref again);
            a.inc(rax);
            a.mov(__qword_ptr[LoneCpu.Data.Value + 1], rax);
            a.jmp(again);
        }).Start(LoneCpu.Code);
        lone.Run(50_000).ShouldBe(MachineStop.ClockLimit);
        lone.Machine.Memory.Map(LoneCpu.Data, GuestMemory.PageBytes, PagePermissions.Read);
        lone.Run(50_000).ShouldBe(MachineStop.Fault);
        lone.Traps.ShouldHaveSingleItem().ShouldBe((TrapVector.PageFault, LoneCpu.Code.Value + 3, 3u, LoneCpu.Data.Value + 1));
        lone.Machine.Memory.ReadUInt64(LoneCpu.Data + 1).ShouldBe(lone.Cpu.Rax - 1);

        // mov ecx, imm32 with what the loop stores, and back into the loop.
        lone.Machine.Memory.Map(LoneCpu.Data, GuestMemory.PageBytes, LoneCpu.All);
        lone.Machine.Memory.Load(LoneCpu.Data, [0xb9]);
        lone.Load(LoneCpu.Data + 9, a => a.jmp(LoneCpu.Code.Value));
        lone.Load(LoneCpu.Code + 3, a =>
        {
            a.mov(__dword_ptr[LoneCpu.Data.Value + 1], eax);
            a.jmp(LoneCpu.Data.Value);
        });
        lone.Machine.Memory.Load(LoneCpu.Data + 5, [0x0f, 0x1f, 0x40, 0]);

        // The code that was loaded over what had been executed is a store of the host's.
        lone.Machine.TryStoreCode(lone.Cpu, LoneCpu.Code, lone.Machine.Memory.Read(LoneCpu.Code, 64)).ShouldBeTrue();
        lone.Cpu.Rax = 0;
        lone.Start(LoneCpu.Code);
        for (var i = 0; i < 2000; i++)
        {
            const int InstructionsPerRound = 6;
            lone.Machine.Run(clockLimitCycles: lone.Machine.ClockCycles + InstructionsPerRound).ShouldBe(MachineStop.ClockLimit);
            lone.Cpu.Rcx.ShouldBe(lone.Cpu.Rax);
        }

        lone.Cpu.Rax.ShouldBe(2000UL);
    }

    // inc rax; dec rcx; jne back
    private static byte[] Loop() => [0x48, 0xff, 0xc0, 0x48, 0xff, 0xc9, 0x75, 0xf8];

    private static byte[] Forever() => [0x48, 0xff, 0xc0, 0xeb, 0xfb];

    private static MachineStop Run(LoneCpu lone, GuestAddress start)
    {
        lone.Cpu.Rcx = Rounds;
        return lone.Start(start).Run();
    }
}
