using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>Code in dirty lines is fetched through the model, instruction by instruction, and no more of it than each has.</summary>
public unsafe class DirtyLineTests
{
    [Fact]
    public void Dirty_code_with_one_version_does_what_clean_code_does()
    {
        using var clean = new TestMachine();
        using var dirty = new TestMachine();
        var length = Program(clean);
        Program(dirty);
        for (var offset = 0; offset < length; offset += 64) dirty.Code.MakeDirty(TestMachine.CodeStart + offset);
        for (var n = 0; n < 60; n++)
        {
            clean.Run(17).ShouldBe(17);
            dirty.Run(17).ShouldBe(17);
            dirty.State().ShouldBe(clean.State(), $"after {(n + 1) * 17} instructions");
        }

        dirty.Code.Fetches.ShouldBe(60 * 17);
        dirty.Interpreter.DecodedBlocks.ShouldBe(0);
    }

    [Fact]
    public void Lines_that_become_dirty_and_clean_in_any_order_change_nothing()
    {
        for (ulong seed = 1; seed <= 30; seed++)
        {
            var draw = new Draw(seed);
            using var reference = new TestMachine();
            using var machine = new TestMachine();
            var length = Program(reference);
            Program(machine);
            for (var n = 0; n < 100; n++)
            {
                var line = TestMachine.CodeStart + (64 * draw.Below((length / 64) + 1));
                if (draw.OneIn(2)) machine.Code.MakeDirty(line);
                else machine.Code.MakeClean(line);
                var quantum = 1 + draw.Below(30);
                reference.Run(quantum).ShouldBe(quantum);
                machine.Run(quantum).ShouldBe(quantum);
                machine.State().ShouldBe(reference.State(), $"seed {seed}, step {n}");
            }
        }
    }

    [Fact]
    public void No_byte_is_asked_that_the_instruction_does_not_have_whatever_has_been_decoded_before()
    {
        // The same address holds, one after the other, instructions that begin alike and end apart.
        byte[][] variants =
        [
            [0x90], [0xcc], [0x66, 0x90], [0x0f, 0x1f, 0x00], [0x0f, 0x1f, 0x44, 0x00, 0x00], [0xe9, 0, 0, 0, 0], [0xe8, 0, 0, 0, 0],
            [0xe8, 0, 1, 0, 0], [0x0f, 0x1f, 0x40, 0x00], [0x48, 0x89, 0xc0], [0x48, 0x8b, 0x43, 0x08], [0x0f, 0x0b],
        ];
        var draw = new Draw(5);
        using var machine = new TestMachine();
        machine.Cpu->Registers[Gpr.Rbx] = TestMachine.DataStart.Value;
        machine.Code.MakeDirty(TestMachine.CodeStart);
        for (var i = 0; i < 500; i++)
        {
            var variant = draw.Of(variants);
            machine.Memory.Load(TestMachine.CodeStart, variant);
            machine.Cpu->Rip = TestMachine.CodeStart.Value;
            machine.Cpu->Registers[Gpr.Rsp] = TestMachine.StackEnd.Value - 64;
            machine.Run(1);
            machine.Code.Asked.Count.ShouldBe(variant.Length, $"case {i}: {Convert.ToHexString(variant)}");
        }

        machine.Interpreter.DecodedSingles.ShouldBeLessThanOrEqualTo(variants.Length + 1);
    }

    [Fact]
    public void An_instruction_that_crosses_into_a_dirty_line_is_fetched_through_the_model()
    {
        using var machine = new TestMachine();
        var start = TestMachine.CodeStart + 61;
        machine.Load(start, a => a.mov(eax, 0x11223344));
        machine.Code.MakeDirty(TestMachine.CodeStart + 64);
        machine.Code.Overlay[(start + 3).Value] = 0x99;
        machine.Cpu->Rip = start.Value;
        machine.Run(1).ShouldBe(1);
        machine.Cpu->Registers[Gpr.Rax].ShouldBe(0x11993344UL);
    }

    [Fact]
    public void A_block_stops_before_a_dirty_line_and_goes_on_behind_it()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            for (var i = 0; i < 60; i++) a.inc(rax);
            a.hlt();
        });
        machine.Code.MakeDirty(TestMachine.CodeStart + 64);
        machine.Run(1000).ShouldBe(61);
        machine.Cpu->Exit.ShouldBe(ExecutionExit.Halt);
        machine.Cpu->Registers[Gpr.Rax].ShouldBe(60UL);

        // inc rax has 3 bytes: the one at 63 crosses in, the one at 126 crosses out.
        machine.Code.Fetches.ShouldBeInRange(22, 27);
    }

    [Fact]
    public void The_observer_sees_the_bytes_of_dirty_instructions_only()
    {
        using var machine = new TestMachine();
        machine.Load(a =>
        {
            a.nop();
            a.mov(ecx, 5);
        });
        machine.Load(TestMachine.CodeStart + 0x40, a => a.hlt());
        machine.Load(TestMachine.CodeStart + 6, a => a.jmp(TestMachine.CodeStart.Value + 0x40));
        machine.Code.MakeDirty(TestMachine.CodeStart + 0x40);
        var observer = new Recorder();
        machine.Interpreter.FetchObserver = observer;
        machine.Run(10).ShouldBe(4);
        observer.Seen.ShouldBe(["0 400040 F4"]);
    }

    [Fact]
    public void A_fetch_that_runs_off_executable_memory_is_a_page_fault_at_the_first_such_byte()
    {
        using var machine = new TestMachine();
        var end = TestMachine.CodeStart + TestMachine.CodeBytes;
        machine.Memory.Load(end - 2, [0x48, 0x8b]);
        foreach (var isDirty in new[] { false, true })
        {
            if (isDirty) machine.Code.MakeDirty(end - 2);
            machine.Cpu->Rip = (end - 2).Value;
            machine.Run(1).ShouldBe(0);
            machine.Cpu->Exit.ShouldBe(ExecutionExit.Trap);
            machine.Cpu->TrapVector.ShouldBe(14);
            machine.Cpu->TrapErrorCode.ShouldBe(0x10u);
            machine.Cpu->TrapAddress.ShouldBe(end.Value);
            machine.Cpu->Rip.ShouldBe((end - 2).Value);
        }
    }

    private static int Program(TestMachine machine)
    {
        return machine.Load(a =>
        {
            Label loop = a.CreateLabel(), function = a.CreateLabel();
            a.mov(rbx, TestMachine.DataStart.Value);
            a.Label(ref loop);
            a.add(__qword_ptr[rbx], 3);
            a.mov(rax, __[rbx + 8]);
            a.adc(rax, 1);
            a.mov(__[rbx + 8], rax);
            a.lea(rdi, __[rbx + 0xfff]);
            a.mov(__dword_ptr[rdi], eax);
            a.nop(__dword_ptr[rax + rax + 0x200]);
            a.call(function);
            a.cmp(rax, 100);
            a.jl(loop);
            a.and(rax, 63);
            a.mov(ecx, 5);
            a.lea(rdi, __[rbx + 0x1ffd]);
            a.rep.stosd();
            a.jmp(loop);
            a.Label(ref function);
            a.push(rax);
            a.xchg(rax, r9);
            a.pushfq();
            a.pop(r10);
            a.pop(rax);
            a.ret();
        }).Length;
    }

    private sealed class Recorder : IFetchObserver
    {
        public List<string> Seen { get; } = [];

        public void OnDirtyFetch(int cpu, GuestAddress rip, ReadOnlySpan<byte> bytes, FetchCoherence coherence) => Seen.Add($"{cpu} {rip} {Convert.ToHexString(bytes)}");
    }
}
