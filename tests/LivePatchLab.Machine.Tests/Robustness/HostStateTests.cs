using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>What a guest does to its flags, the host does not feel.</summary>
public sealed class HostStateTests
{
    private const int Direction = 0x400, NestedTask = 0x4000, AlignmentCheck = 0x4_0000, Identification = 0x20_0000;

    public static TheoryData<ExecutionEngine> Engines => LoneCpu.Engines;

    [Theory]
    [MemberData(nameof(Engines))]
    public void The_host_copies_upwards_after_a_guest_has_left_DF_set(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.std();
            a.Label(ref again);
            a.inc(rax);
            a.dec(rcx);
            a.jne(again);
            a.hlt();
        }).Start(LoneCpu.Code);
        lone.Cpu.Rcx = 1_000_000;
        for (var cycles = 1; cycles < 100_000; cycles *= 3)
        {
            lone.Run(cycles).ShouldBe(MachineStop.ClockLimit);
            (lone.Cpu.Rflags & Direction).ShouldBe((ulong)Direction);
            RequireSaneHost();
        }

        lone.Run();
        lone.Cpu.Rax.ShouldBe(1_000_000UL);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Strings_go_down_in_the_guest_with_DF_set_and_the_host_goes_on(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.mov(ebx, 500);
            a.Label(ref again);
            a.std();
            a.mov(rdi, LoneCpu.Data.Value + 0x1ff8);
            a.mov(ecx, 0x400);
            a.mov(rax, rbx);
            a.rep.stosq();
            a.inc(r8);
            a.dec(ebx);
            a.jne(again);
            a.hlt();
        }).Start(LoneCpu.Code);
        while (lone.Run(777) == MachineStop.ClockLimit) RequireSaneHost();
        lone.Cpu.R8.ShouldBe(500UL);
        lone.Cpu.Rdi.ShouldBe(LoneCpu.Data.Value - 8);
        lone.Machine.Memory.ReadUInt64(LoneCpu.Data).ShouldBe(1UL);
        lone.Machine.Memory.ReadUInt64(LoneCpu.Data + 0x1ff8).ShouldBe(1UL);
        RequireSaneHost();
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Flags_that_a_guest_pops_stay_its_own(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.Label(ref again);
            a.pushfq();
            a.xor(__qword_ptr[rsp], AlignmentCheck | NestedTask | Identification | Direction | 0x8d5);
            a.popfq();
            a.nop();
            a.pushfq();
            a.pop(rdx);
            a.or(rsi, rdx);
            a.lea(ecx, __[rcx - 1]);
            a.jrcxz(again);
            a.jmp(again);
        }).Start(LoneCpu.Code);
        for (var i = 0; i < 400; i++)
        {
            lone.Run(i < 200 ? i + 1 : 5_000).ShouldBe(MachineStop.ClockLimit);
            RequireSaneHost();
        }

        (lone.Cpu.Rsi & (AlignmentCheck | NestedTask | Identification | Direction)).ShouldBe((ulong)(AlignmentCheck | NestedTask | Identification | Direction));
        lone.Traps.ShouldBeEmpty();
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void TF_traps_in_the_guest_behind_the_next_instruction_each_time(ExecutionEngine engine)
    {
        const int Rounds = 3_000;
        const ulong Done = Rounds;
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.mov(ebx, Rounds);
            a.Label(ref again);
            a.inc(rax);
            a.pushfq();
            a.or(__qword_ptr[rsp], 0x100);
            a.popfq();
            a.inc(r9);
            a.inc(r10);
            a.dec(ebx);
            a.jne(again);
            a.hlt();
        }).Start(LoneCpu.Code);
        var seen = 0;
        lone.OnTrap = frame =>
        {
            // INC R9 has retired, INC R10 has not.
            if (lone.Cpu.R9 == lone.Cpu.R10 + 1) seen++;
            frame.Rflags &= ~0x100UL;
            return true;
        };
        lone.Run();
        (lone.Cpu.Rax, lone.Cpu.R9, lone.Cpu.R10).ShouldBe((Done, Done, Done));
        lone.Traps.Count.ShouldBe(Rounds);
        lone.Traps.ShouldAllBe(trap => trap.Vector == TrapVector.Debug && trap.Rip == lone.Traps[0].Rip);
        seen.ShouldBe(Rounds);
        RequireSaneHost();
    }

    /// <summary>Copies and fills long enough to be done by string instructions, and words at odd addresses.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static unsafe void RequireSaneHost()
    {
        const int Bytes = 20_000;
        var from = (byte*)NativeMemory.Alloc(Bytes + 8);
        var to = new byte[Bytes];
        for (var i = 0; i < Bytes + 8; i++) from[i] = (byte)(i * 7);
        new ReadOnlySpan<byte>(from, Bytes).CopyTo(to);
        for (var i = 0; i < Bytes; i += 97) to[i].ShouldBe((byte)(i * 7));

        // The two overlap.
        Buffer.MemoryCopy(from, from + 5, Bytes, Bytes - 5);
        from[Bytes - 1].ShouldBe(unchecked((byte)((Bytes - 6) * 7)));
        new Span<byte>(from, Bytes).Clear();
        new ReadOnlySpan<byte>(from, Bytes).IndexOfAnyExcept((byte)0).ShouldBe(-1);
        Unsafe.WriteUnaligned(from + 3, 0x1122_3344_5566_7788UL);
        Unsafe.ReadUnaligned<ulong>(from + 3).ShouldBe(0x1122_3344_5566_7788UL);
        (*(ulong*)(from + 1) >> 16).ShouldBe(0x1122_3344_5566_7788UL & 0xffff_ffff_ffffUL);
        NativeMemory.Free(from);
        string.Concat(Enumerable.Repeat("ab", 500)).LastIndexOf("ba", StringComparison.Ordinal).ShouldBe(997);
    }
}
