using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>What the SDM leaves to the processor is the lab's own choice: one outcome, whatever the host's processor does and whichever engine runs.</summary>
public sealed class UndefinedOutcomeTests
{
    private const int Rounds = 30_000;

    private static readonly GuestAddress Site = LoneCpu.Code + GuestMemory.PageBytes;

    /// <summary>RCL of 8 bits by 9 goes once around and changes no flag; AMD's processors change OF. The same of 16 bits by 17, of RCR, and by CL.</summary>
    [Theory]
    [MemberData(nameof(LoneCpu.Engines), MemberType = typeof(LoneCpu))]
    public void A_rotate_that_goes_once_around_changes_no_flag(ExecutionEngine engine)
    {
        foreach (var rotate in (Action<Assembler>[])[a => a.rcl(dl, 9), a => a.rcr(dl, 9), a => a.rcl(dx, 17), a => a.rcr(dx, 17), a => a.rcl(dl, 27), a => a.rcl(dl, cl), a => a.rcr(dl, cl)])
        {
            Count(engine, a =>
            {
                a.mov(ecx, 9);
                a.test(ecx, ecx);
                a.stc();
                rotate(a);
                a.seto(al);
            }).ShouldBe(0UL);
        }
    }

    /// <summary>OF of a rotate or shift by 1 is defined; by more it is 0, and so are the flags of products, quotients and bit scans.</summary>
    [Theory]
    [MemberData(nameof(LoneCpu.Engines), MemberType = typeof(LoneCpu))]
    public void What_is_undefined_is_0_and_what_is_defined_is_not(ExecutionEngine engine)
    {
        Overflows(engine, a => a.shl(edx, 1)).ShouldBe((ulong)Rounds);
        Overflows(engine, a => a.shl(edx, 3)).ShouldBe(0UL);
        Overflows(engine, a => a.rol(edx, 1)).ShouldBe((ulong)Rounds);
        Overflows(engine, a => a.rol(edx, 7)).ShouldBe(0UL);
        Overflows(engine, a => a.shr(edx, 2)).ShouldBe(0UL);
        Overflows(engine, a => a.shl(edx, cl)).ShouldBe(0UL);
        Overflows(engine, a => a.bsf(esi, edx)).ShouldBe(0UL);
        Overflows(engine, a => a.tzcnt(esi, edx)).ShouldBe(0UL);
        Overflows(engine, a => a.shld(edx, ecx, 5)).ShouldBe(0UL);
        Count(engine, a =>
        {
            a.mov(edx, -3);
            a.imul(edx, edx, 77);
            a.sets(al);
        }).ShouldBe(0UL);
        Count(engine, a =>
        {
            a.mov(edx, 0);
            a.imul(edx, edx, 77);
            a.sete(al);
        }).ShouldBe(0UL);
    }

    /// <summary>A count of 0 in CL leaves every flag, also those that are 0 by the lab's choice alone and not on the host.</summary>
    [Theory]
    [MemberData(nameof(LoneCpu.Engines), MemberType = typeof(LoneCpu))]
    public void A_count_of_0_keeps_what_was_there(ExecutionEngine engine)
    {
        Count(engine, a =>
        {
            a.mov(ecx, 32);
            a.mov(edx, 0x7fff_ffff);
            a.add(edx, 1);
            a.shl(edx, cl);
            a.seto(al);
        }).ShouldBe((ulong)Rounds);
        Count(engine, a =>
        {
            a.mov(ecx, 64);
            a.mov(edx, 0x4000_0000);
            a.rol(edx, 5);
            a.shr(edx, cl);
            a.ror(edx, cl);
            a.seto(al);
        }).ShouldBe(0UL);
    }

    /// <summary>At a fault all flags are the lab's, however far behind the instruction it comes that left them otherwise.</summary>
    [Theory]
    [MemberData(nameof(LoneCpu.Engines), MemberType = typeof(LoneCpu))]
    public void A_fault_behind_them_finds_the_flags_as_they_are(ExecutionEngine engine)
    {
        foreach (var (operation, flags) in ((Action<Assembler>, ulong)[])[(a => a.shl(edx, 3), 0x86), (a => a.shl(edx, cl), 7), (a => a.imul(edx, edx, 3), 0x803), (a => a.bsr(edx, edx), 2), (a => a.tzcnt(edx, edx), 2)])
        {
            using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
            {
                var loop = a.CreateLabel();
                a.Label(ref loop);
                a.mov(edx, 0x5000_0012);
                a.mov(ecx, 2);
                operation(a);
                a.mov(ecx, 5);
                a.mov(rsi, __qword_ptr[rdi]);
                a.dec(r12);
                a.jne(loop);
                a.hlt();
            });
            lone.Cpu.R12 = Rounds;
            lone.Cpu.Rdi = LoneCpu.Data.Value;
            lone.Start(LoneCpu.Code).Run().ShouldBe(MachineStop.Idle);
            lone.Cpu.R12 = Rounds;
            lone.Cpu.Rdi = 0x10;
            lone.Start(LoneCpu.Code).Run();
            lone.Traps.Last().Vector.ShouldBe(TrapVector.PageFault);
            (lone.Cpu.Rflags & 0x8d7).ShouldBe(flags);
        }
    }

    /// <summary>XOP's BEXTR is #UD here on every host: also where code that has been translated is replaced by it.</summary>
    [Theory]
    [MemberData(nameof(LoneCpu.Engines), MemberType = typeof(LoneCpu))]
    public void An_instruction_that_the_lab_has_not_is_refused_in_hot_code(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine, LoneCpu.All).Load(LoneCpu.Code, a =>
        {
            var loop = a.CreateLabel();
            a.Label(ref loop);
            a.call(Site.Value);
            a.dec(ecx);
            a.jne(loop);
            a.hlt();
        });
        for (var content = 1; content <= 64; content++)
        {
            lone.Machine.TryStoreCode(lone.Cpu, Site, [0xb8, (byte)content, 0, 0, 0, 0x0f, 0x1f, 0x40, 0x00, 0xc3]).ShouldBeTrue();
            lone.Cpu.Rcx = 3000;
            lone.Start(LoneCpu.Code).Run().ShouldBe(MachineStop.Idle);
        }

        // bextr eax, ebx, 0x80400
        lone.Machine.TryStoreCode(lone.Cpu, Site, [0x8f, 0xea, 0x78, 0x10, 0xc3, 0x00, 0x04, 0x08, 0x00, 0xc3]).ShouldBeTrue();
        lone.Cpu.Rcx = 3000;
        lone.Start(LoneCpu.Code).Run();
        lone.Traps.ShouldHaveSingleItem().ShouldBe((TrapVector.InvalidOpcode, Site.Value, 0u, 0UL));
    }

    /// <summary>How often OF is set behind an operation on 0x50000012, with 2 in CL and OF set before.</summary>
    private static ulong Overflows(ExecutionEngine engine, Action<Assembler> operation) => Count(engine, a =>
    {
        a.mov(ecx, 2);
        a.mov(edx, 0x7fff_ffff);
        a.add(edx, 1);
        a.mov(edx, 0x5000_0012);
        operation(a);
        a.seto(al);
    });

    /// <summary>Adds AL up over many rounds, with EAX 0 before.</summary>
    private static ulong Count(ExecutionEngine engine, Action<Assembler> body)
    {
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var loop = a.CreateLabel();
            a.Label(ref loop);
            a.mov(eax, 0);
            body(a);
            a.add(rbx, rax);
            a.dec(r12);
            a.jne(loop);
            a.hlt();
        });
        lone.Cpu.R12 = Rounds;
        lone.Start(LoneCpu.Code).Run().ShouldBe(MachineStop.Idle);
        return lone.Cpu.Rbx;
    }
}
