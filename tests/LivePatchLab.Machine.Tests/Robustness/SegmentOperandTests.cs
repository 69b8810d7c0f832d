using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>Operands in FS and GS, which hot code reaches by the bases of the CPU that executes it: per-CPU data of a kernel, thread-local data of a user.</summary>
public sealed class SegmentOperandTests
{
    private const int Rounds = 20_000;

    private const ulong Untouched = 0x5a5a_1234_5a5a_1234;

    private static readonly GuestAddress OfFs = LoneCpu.Data + 0x400, OfGs = LoneCpu.Data + 0x800;

    public static TheoryData<ExecutionEngine> Engines => LoneCpu.Engines;

    [Theory]
    [MemberData(nameof(Engines))]
    public void All_forms_of_addresses_reach_what_the_interpreter_reaches(ExecutionEngine engine) => Outcome(engine).ShouldBe(Outcome(ExecutionEngine.Interpreter));

    [TranslatorFact]
    public void They_do_not_leave_translated_code()
    {
        using var lone = Mixed(ExecutionEngine.Translator);
        lone.Run().ShouldBe(MachineStop.Idle);
        var statistics = lone.Machine.EngineStatistics;
        statistics.InterpretedInstructions.ShouldBeLessThan(statistics.NativeInstructions / 50);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Bases_that_are_changed_between_two_rounds_take_effect_in_the_next(ExecutionEngine engine)
    {
        using var lone = Counting(engine);
        lone.Machine.SystemCall = cpu => (cpu.FsBase, cpu.GsBase) = (cpu.GsBase, cpu.FsBase);
        lone.Run().ShouldBe(MachineStop.Idle);
        lone.Machine.Memory.ReadUInt64(OfFs).ShouldBe((ulong)Rounds / 2);
        lone.Machine.Memory.ReadUInt64(OfGs).ShouldBe((ulong)Rounds / 2);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Wild_bases_fault_as_they_do_interpreted(ExecutionEngine engine)
    {
        foreach (var wild in (ulong[])[1UL << 32, 1UL << 35, (1UL << 47) - 8, 1UL << 47, 0x7f00_1234_5678, 1UL << 52, 1UL << 62, 1UL << 63, 0xffff_fffe_0000_0000, 0xffff_7fff_ffff_fff8, ulong.MaxValue - 3])
            AfterWarmth(engine, wild).ShouldBe(AfterWarmth(ExecutionEngine.Interpreter, wild), $"{wild:x}");
    }

    /// <summary>A base that makes an address of the host's own memory out of the guest's.</summary>
    [TranslatorFact]
    public unsafe void What_is_the_hosts_is_not_reached_by_a_base()
    {
        var own = GC.AllocateArray<ulong>(1024, pinned: true);
        Array.Fill(own, Untouched);
        using var lone = Counting(ExecutionEngine.Translator);
        lone.Machine.SystemCall = _ => { };
        lone.Run().ShouldBe(MachineStop.Idle);
        lone.OnTrap = frame =>
        {
            frame.Rip += 9;
            return true;
        };
        var native = lone.Machine.Interpreter.Native.ShouldNotBeNull();
        lone.Start(LoneCpu.Code);
        lone.Cpu.GsBase = new((ulong)Marshal.UnsafeAddrOfPinnedArrayElement(own, 512) - (ulong)native.Origin);
        lone.Run().ShouldBe(MachineStop.Idle);
        lone.Traps.Count.ShouldBe(Rounds);
        lone.Traps.ShouldAllBe(trap => trap.Vector == TrapVector.PageFault);
        own.ShouldAllBe(value => value == Untouched);
    }

    private static string Outcome(ExecutionEngine engine)
    {
        using var lone = Mixed(engine);
        lone.Run().ShouldBe(MachineStop.Idle);
        return $"{lone.Machine.Hash()} {lone.Cpu.Rax:x} {lone.Cpu.Rdx:x} {lone.Cpu.Rsi:x} {lone.Cpu.Rdi:x}";
    }

    private static LoneCpu Mixed(ExecutionEngine engine) => WithBases(engine, a =>
    {
        var again = a.CreateLabel();
        a.mov(ecx, Rounds);
        a.mov(ebx, 8);
        a.Label(ref again);
        a.mov(rdx, __qword_ptr.gs[16]);
        a.lea(rax, __[rdx + rcx]);
        a.mov(__qword_ptr.gs[rbx + 8], rax);
        a.mov(edx, __dword_ptr.fs[rbx * 4 + 12]);
        a.adc(__dword_ptr.fs[rbx + rbx * 2 - 8], ecx);
        a.movzx(esi, __byte_ptr.gs[rbx + 9]);
        a.setc(__byte_ptr.fs[3]);
        a.@lock.xadd(__qword_ptr.gs[rbx * 8], rdx);
        a.cmpxchg(__qword_ptr.fs[0x40], rsi);
        a.imul(edi, __dword_ptr.fs[0x40], 77);
        a.cmp(__word_ptr.gs[rbx], 5);
        a.cmovb(rdi, __qword_ptr.gs[0x40]);
        a.bts(__dword_ptr.fs[0x48], 5);
        a.mov(__qword_ptr.gs[rsp + 0x50 - 0x70_0fc0], rdi);
        a.sub(rsp, 8);
        a.inc(__qword_ptr.gs[rsp + 0x60 - 0x70_0fb8]);
        a.add(rsp, 8);
        a.dec(ecx);
        a.jne(again);
        a.hlt();
    });

    /// <summary>A loop that counts in GS, and calls the system before each count.</summary>
    private static LoneCpu Counting(ExecutionEngine engine) => WithBases(engine, a =>
    {
        var again = a.CreateLabel();
        a.mov(ebx, Rounds);
        a.Label(ref again);
        a.syscall();
        a.inc(__qword_ptr.gs[0]);
        a.dec(ebx);
        a.jne(again);
        a.hlt();
    });

    private static string AfterWarmth(ExecutionEngine engine, ulong wild)
    {
        using var lone = Mixed(engine);
        lone.Run().ShouldBe(MachineStop.Idle);
        lone.Start(LoneCpu.Code);
        lone.Cpu.FsBase = new(wild);
        lone.Run().ShouldBe(MachineStop.Fault);
        return $"{lone.Traps.ShouldHaveSingleItem()} {lone.Machine.Hash()}";
    }

    private static LoneCpu WithBases(ExecutionEngine engine, Action<Assembler> write)
    {
        var lone = new LoneCpu(engine).Load(LoneCpu.Code, write).Start(LoneCpu.Code);
        lone.Cpu.FsBase = OfFs;
        lone.Cpu.GsBase = OfGs;
        return lone;
    }
}
