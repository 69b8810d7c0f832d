using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>A run that is cut into quanta anywhere ends in the state of the run in one piece.</summary>
public unsafe class ExactBudgetTests
{
    public static TheoryData<ulong> Seeds => [.. Enumerable.Range(1, 40).Select(i => (ulong)i)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Quanta_of_any_length_add_up_to_the_run_in_one_piece(ulong seed)
    {
        const long Total = 5000;
        using var whole = new TestMachine();
        using var cut = new TestMachine();
        Program(whole);
        Program(cut);
        var draw = new Draw(seed);

        whole.Run(Total).ShouldBe(Total);
        long done = 0;
        while (done < Total)
        {
            var quantum = Math.Min(Total - done, 1 + draw.Below(draw.Of(2, 10, 100)));
            cut.Run(quantum).ShouldBe(quantum, $"seed {seed}, after {done}");
            done += quantum;
        }

        cut.State().ShouldBe(whole.State(), $"seed {seed}");
    }

    [Fact]
    public void Flags_are_the_same_at_every_instruction_whether_or_not_a_cpu_stops_there()
    {
        using var stepped = new TestMachine();
        Program(stepped);
        for (var n = 1; n <= 400; n++)
        {
            using var whole = new TestMachine();
            Program(whole);
            whole.Run(n).ShouldBe(n);
            stepped.Run(1).ShouldBe(1);
            stepped.State().ShouldBe(whole.State(), $"after {n} instructions");
        }
    }

    [Fact]
    public void Handlers_hand_over_by_jumps_so_no_run_is_too_long_for_the_host_stack()
    {
        using var machine = new TestMachine();
        Program(machine);
        machine.Run(20_000_000).ShouldBe(20_000_000);
    }

    /// <summary>An endless program of loops, calls, memory, strings and flags that are read, kept and overwritten.</summary>
    private static void Program(TestMachine machine)
    {
        machine.Load(a =>
        {
            Label loop = a.CreateLabel(), inner = a.CreateLabel(), function = a.CreateLabel(), skip = a.CreateLabel();
            a.mov(rbx, TestMachine.DataStart.Value);
            a.mov(r12, 1);
            a.lea(r14, __[function]);
            a.Label(ref loop);
            a.mov(ecx, 7);
            a.Label(ref inner);
            a.mov(rax, __[rbx + (rcx * 8)]);
            a.adc(rax, r12);
            a.rol(rax, 5);
            a.xor(rax, rcx);
            a.mov(__[rbx + (rcx * 8)], rax);
            a.inc(r13);
            a.sbb(r12, rax);
            a.dec(ecx);
            a.jnz(inner);
            a.call(function);
            a.call(r14);
            a.nop();
            a.nop();
            a.test(al, 3);
            a.je(skip);
            a.setp(r9b);
            a.cmovl(r10, rax);
            a.add(__dword_ptr[rbx + 0x100], 3);
            a.Label(ref skip);
            a.lea(rdi, __[rbx + 0x200]);
            a.lea(rsi, __[rbx + 0x10]);
            a.mov(ecx, 24);
            a.rep.movsb();
            a.lea(rdi, __[rbx + 0x300]);
            a.mov(al, 0x55);
            a.mov(ecx, 100);
            a.repne.scasb();
            a.jmp(loop);

            a.Label(ref function);
            a.push(rbp);
            a.mov(rbp, rsp);
            a.imul(r8, rax, 77);
            a.shl(r8, cl);
            a.bt(r8, 3);
            a.rcr(r11, 1);
            a.pushfq();
            a.pop(r15);
            a.add(__[rbx + 0x180], r15);
            a.movzx(edx, ax);
            a.or(edx, 1);
            a.mov(eax, r8d);
            a.push(rdx);
            a.cdq();
            a.mov(esi, 12345);
            a.idiv(esi);
            a.pop(rdx);
            a.leave();
            a.ret();
        });
    }
}
