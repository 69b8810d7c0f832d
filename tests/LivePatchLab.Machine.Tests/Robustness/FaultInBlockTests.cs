using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>Faults in hot code: what was before the instruction is done, it itself and what comes behind it is not.</summary>
public sealed class FaultInBlockTests
{
    private const int Rounds = 5_000;
    private const ulong Done = Rounds;

    public static TheoryData<ExecutionEngine> Engines => LoneCpu.Engines;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Divide_errors_of_every_kind_are_the_guests_alone(ExecutionEngine engine)
    {
        foreach (var (divide, rax, rdx, rcx, bytes) in ((Action<Assembler>, ulong, ulong, ulong, int)[])
        [
            (a => a.div(cl), 5, 0, 0, 2), (a => a.div(cx), 5, 0, 0, 3), (a => a.div(ecx), 5, 0, 0, 2), (a => a.div(rcx), 5, 0, 0, 3),
            (a => a.idiv(cl), 5, 0, 0, 2), (a => a.idiv(ecx), 5, 0, 0, 2), (a => a.idiv(rcx), 5, 0, 0, 3),
            (a => a.div(rcx), 0, 7, 7, 3), (a => a.div(ecx), 1, 9, 9, 2), (a => a.div(cl), 0x700, 0, 7, 2),
            (a => a.idiv(rcx), 1UL << 63, ulong.MaxValue, ulong.MaxValue, 3), (a => a.idiv(ecx), 1U << 31, uint.MaxValue, ulong.MaxValue, 2), (a => a.idiv(cl), 0x8000, 0, 0xff, 2),
            (a => a.idiv(rcx), 0, 1UL << 62, 1, 3),
        ])
        {
            using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
            {
                var again = a.CreateLabel();
                a.mov(r15d, Rounds);
                a.Label(ref again);
                a.inc(r14);
                a.cmp(r14, r15);
                divide(a);
                a.inc(r13);
                a.dec(r15);
                a.jne(again);
                a.hlt();
            }).Start(LoneCpu.Code);
            (lone.Cpu.Rax, lone.Cpu.Rdx, lone.Cpu.Rcx) = (rax, rdx, rcx);
            lone.OnTrap = frame =>
            {
                frame.Rip += bytes;
                return true;
            };
            lone.Run();
            lone.Traps.Count.ShouldBe(Rounds);
            lone.Traps.Distinct().ShouldHaveSingleItem().Vector.ShouldBe(TrapVector.DivideError);
            (lone.Cpu.R14, lone.Cpu.R13, lone.Cpu.Rax, lone.Cpu.Rdx, lone.Cpu.Rcx).ShouldBe((Done, Done, rax, rdx, rcx));
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_division_that_fits_in_hot_code_is_no_error(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.mov(r15d, Rounds);
            a.Label(ref again);
            a.mov(rax, r15);
            a.cqo();
            a.mov(ecx, 7);
            a.idiv(rcx);
            a.add(r8, rax);
            a.add(r9, rdx);
            a.dec(r15);
            a.jne(again);
            a.hlt();
        }).Start(LoneCpu.Code);
        lone.Run();
        lone.Cpu.R8.ShouldBe((ulong)Enumerable.Range(1, Rounds).Sum(i => i / 7));
        lone.Cpu.R9.ShouldBe((ulong)Enumerable.Range(1, Rounds).Sum(i => i % 7));
        lone.Traps.ShouldBeEmpty();
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_store_that_walks_off_its_page_faults_there_and_goes_on_when_the_page_has_come(ExecutionEngine engine)
    {
        var end = LoneCpu.Data + (2 * GuestMemory.PageBytes);
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.mov(rdi, LoneCpu.Data.Value);
            a.Label(ref again);
            a.inc(rax);
            a.add(rbx, 3);
            a.stc();
            a.mov(__dword_ptr[rdi], eax);
            a.adc(r10, 0);
            a.add(rdi, 3);
            a.cmp(rdi, (int)(end.Value + 3_000));
            a.jb(again);
            a.hlt();
        }).Start(LoneCpu.Code);
        (ulong Rax, ulong Rbx, ulong R10, ulong Rdi, ulong Flags) at = default;
        lone.OnTrap = frame =>
        {
            at = (lone.Cpu.Rax, lone.Cpu.Rbx, lone.Cpu.R10, lone.Cpu.Rdi, frame.Rflags);
            lone.Machine.Memory.Map(end, GuestMemory.PageBytes, LoneCpu.ReadWrite);
            return true;
        };
        lone.Run();

        // 8192 is no multiple of 3: the store at 8190 is the first that reaches over the end.
        const ulong Before = 8190 / 3;
        lone.Traps.ShouldHaveSingleItem().ShouldBe((TrapVector.PageFault, lone.Traps[0].Rip, 2u, end.Value));
        (at.Rax, at.Rbx, at.R10, at.Rdi).ShouldBe((Before + 1, (Before + 1) * 3, Before, LoneCpu.Data.Value + 8190));
        (at.Flags & 1).ShouldBe(1UL);
        lone.Cpu.Rax.ShouldBe((8192UL + 3000 + 2) / 3);
        lone.Cpu.R10.ShouldBe(lone.Cpu.Rax);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Loads_that_are_not_canonical_or_not_mapped_fault_with_their_vector(ExecutionEngine engine)
    {
        foreach (var (address, expected) in ((ulong, (TrapVector, ulong))[])
        [
            (0x8000_0000_0000, (TrapVector.GeneralProtection, 0)), (0x8000_0000, (TrapVector.PageFault, 0x8000_0000)), (0xffff_ffff_7fff_fff8, (TrapVector.PageFault, 0xffff_ffff_7fff_fff8)),
            (0x1_0060_0000, (TrapVector.PageFault, 0x1_0060_0000)), (0x50_0000, (TrapVector.PageFault, 0x50_0000)), (ulong.MaxValue, (TrapVector.PageFault, ulong.MaxValue)),
        ])
        {
            using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
            {
                var again = a.CreateLabel();
                var good = a.CreateLabel();
                a.mov(r15d, Rounds);
                a.mov(rsi, LoneCpu.Data.Value);
                a.Label(ref again);
                a.mov(rbx, rsi);
                a.cmp(r15d, 10);
                a.ja(good);
                a.mov(rbx, address);
                a.Label(ref good);
                a.inc(r12);
                a.mov(al, __byte_ptr[rbx]);
                a.inc(r13);
                a.dec(r15);
                a.jne(again);
                a.hlt();
            }).Start(LoneCpu.Code);
            lone.OnTrap = frame =>
            {
                frame.Rip += 2;
                return true;
            };
            lone.Run();
            lone.Traps.Count.ShouldBe(10, $"{address:x}");
            lone.Traps.Select(trap => (trap.Vector, trap.Address)).Distinct().ShouldHaveSingleItem().ShouldBe(expected);
            (lone.Cpu.R12, lone.Cpu.R13).ShouldBe((Done, Done));
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_stack_that_runs_out_faults_at_the_push_and_at_the_call(ExecutionEngine engine)
    {
        foreach (var isCall in new[] { false, true })
        {
            using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
            {
                var again = a.CreateLabel();
                a.Label(ref again);
                a.inc(rax);
                if (isCall) a.call(again);
                else a.push(rax);
                a.jmp(again);
            }).Start(LoneCpu.Code);
            lone.Cpu.Rsp = LoneCpu.Data.Value + 0x2000;
            lone.Run().ShouldBe(MachineStop.Fault);
            lone.Traps.ShouldHaveSingleItem().ShouldBe((TrapVector.PageFault, LoneCpu.Code.Value + 3, 2u, LoneCpu.Data.Value - 8));
            (lone.Cpu.Rax, lone.Cpu.Rsp).ShouldBe((0x2000UL / 8 + 1, LoneCpu.Data.Value));
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Breakpoints_and_undefined_instructions_trap_in_hot_code(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.mov(ebx, Rounds);
            a.Label(ref again);
            a.inc(rax);
            a.int3();
            a.inc(rcx);
            a.ud2();
            a.inc(rdx);
            a.dec(ebx);
            a.jne(again);
            a.hlt();
        }).Start(LoneCpu.Code);
        lone.OnTrap = frame =>
        {
            if (frame.Vector == TrapVector.InvalidOpcode) frame.Rip += 2;
            return true;
        };
        lone.Run();
        lone.Traps.Count.ShouldBe(2 * Rounds);
        lone.Traps.Count(trap => trap.Vector == TrapVector.Breakpoint).ShouldBe(Rounds);
        (lone.Cpu.Rax, lone.Cpu.Rcx, lone.Cpu.Rdx).ShouldBe((Done, Done, Done));
    }
}
