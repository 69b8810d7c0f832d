using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// Hot code whose addresses go wild: every engine refuses what the interpreter refuses, which compares each address, and nothing of the host's is
/// reached where a sum of two values that are none is an address again.
/// </summary>
public sealed class WildAddressTests
{
    // An instruction that has faulted more often is interpreted from then on.
    private const int WildAtOnce = 5, WarmRounds = 200;

    private static readonly ulong[] Bases =
    [
        0, 8, 0xffff_fff8, 1UL << 32, (1UL << 32) + 8, 1UL << 35, 1UL << 40, (1UL << 47) - 8, 1UL << 47, 0x7f00_1234_5678, 1UL << 52, 5UL << 52, 1UL << 60, 1UL << 61, 1UL << 62, 1UL << 63,
        Negative(8), Negative(1UL << 31), Negative(1UL << 32), Negative(1UL << 33), Negative(1UL << 47), Negative((1UL << 47) + 8), Negative(1UL << 52), Negative(1UL << 61), Negative(1UL << 62),
    ];

    private static readonly (string Name, Action<Assembler> Lead)[] Leads =
    [
        ("xchg", a => a.xchg(rsp, rax)), ("xchg the other way", a => a.xchg(rax, rsp)), ("mov", a => a.mov(rsp, rax)), ("lea", a => a.lea(rsp, __[rax + 16])), ("lea of a sum", a => a.lea(rsp, __[rsp + rax])),
        ("add, a sum", a => a.add(rsp, rax)), ("xadd, a sum", a => a.xadd(rax, rsp)), ("pop", a => { a.push(rax); a.pop(rsp); }), ("leave", a => { a.mov(rbp, rax); a.leave(); }),
        ("cmov", a => { a.test(rsp, rsp); a.cmovne(rsp, rax); }),
    ];

    public static TheoryData<ExecutionEngine> Engines => LoneCpu.Engines;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Every_sum_of_a_base_and_an_index_is_refused_or_permitted_as_the_interpreter_does(ExecutionEngine engine)
    {
        var pairs = new List<(ulong Base, ulong Index)>();
        foreach (var first in Bases)
        {
            pairs.Add((LoneCpu.Data.Value + first, 0));
            pairs.Add((LoneCpu.Data.Value, first));
            pairs.Add((LoneCpu.Data.Value + first, Negative(first)));
            pairs.Add((LoneCpu.Data.Value + Negative(first * 8), first));
            pairs.Add((first, Negative(first)));
        }

        foreach (var scale in (int[])[0, 1, 8])
            foreach (var wild in pairs.Chunk(WildAtOnce)) Access(engine, wild, scale).ShouldBe(Access(ExecutionEngine.Interpreter, wild, scale), $"scale {scale}: {string.Join(", ", wild)}");
    }

    /// <summary>The interpreter itself, by what addresses are.</summary>
    [Fact]
    public void The_interpreter_tells_the_three_kinds_of_addresses_apart()
    {
        Access(ExecutionEngine.Interpreter, [(LoneCpu.Data.Value + (1UL << 62), Negative(1UL << 62))], 1).ShouldBe("0x3e8");
        Access(ExecutionEngine.Interpreter, [(LoneCpu.Data.Value + (1UL << 40), 0)], 1).ShouldContain("PageFault");
        Access(ExecutionEngine.Interpreter, [(LoneCpu.Data.Value + (1UL << 62), 0)], 1).ShouldContain("GeneralProtection");
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_stack_that_is_led_astray_ends_in_the_same_fault(ExecutionEngine engine)
    {
        foreach (var (name, lead) in Leads)
        {
            foreach (var wild in (ulong[])[1UL << 33, 1UL << 40, 0x7f00_1234_5678, 1UL << 62, Negative(1UL << 40)])
                Stray(engine, lead, wild).ShouldBe(Stray(ExecutionEngine.Interpreter, lead, wild), $"{name} {wild:x}");
        }
    }

    /// <summary>Steps that are small each and touch nothing: 100,000 of a MiB lead far beyond what is left unmapped around the window.</summary>
    [Theory]
    [MemberData(nameof(Engines))]
    public void A_stack_that_walks_away_step_by_step_is_found_out(ExecutionEngine engine)
    {
        foreach (var walk in (Action<Assembler>[])[a => a.sub(rsp, 1 << 20), a => a.add(rsp, 1 << 20), a => a.lea(rsp, __[rsp - (1 << 20)]), a => { a.dec(rsp); a.and(rsp, -(1 << 20)); }])
            Walk(engine, walk).ShouldBe(Walk(ExecutionEngine.Interpreter, walk));
    }

    /// <summary>Memory of the host's own, addressed as if it were the guest's: by a register, by sums and by products that come to it.</summary>
    [TranslatorFact]
    public void What_is_the_hosts_is_neither_read_nor_written()
    {
        var own = GC.AllocateArray<ulong>(1024, pinned: true);
        Array.Fill(own, Untouched);
        foreach (var scale in (int[])[0, 1, 8])
        {
            foreach (var lift in (ulong[])[0, 1UL << 36, 1UL << 47, 1UL << 52, 1UL << 60, 1UL << 61, 1UL << 62, 1UL << 63])
            {
                using var lone = Warm(scale);
                var target = (ulong)Marshal.UnsafeAddrOfPinnedArrayElement(own, 512) - HostAddressOfZero(lone);
                (ulong Base, ulong Index)[] wild = scale == 8
                    ? [(target - (lift * 8), lift), (0, target / 8), (target - 8, lift + 1 - lift), (LoneCpu.Data.Value, (target - LoneCpu.Data.Value) / 8)]
                    : [(target + lift, Negative(lift)), (target - lift, lift), (LoneCpu.Data.Value, target - LoneCpu.Data.Value), (Negative(lift), target + lift)];
                Continue(lone, wild);
                lone.Traps.Count.ShouldBe(wild.Length, $"scale {scale} lift {lift:x}");
                lone.Traps.ShouldAllBe(trap => trap.Vector == TrapVector.PageFault);
                lone.Cpu.Rax.ShouldBe(1000UL);
                own.ShouldAllBe(value => value == Untouched);
            }
        }
    }

    /// <summary>The same for a stack that is led there.</summary>
    [TranslatorFact]
    public void Nothing_is_pushed_to_the_hosts_memory()
    {
        var own = GC.AllocateArray<ulong>(1024, pinned: true);
        Array.Fill(own, Untouched);
        foreach (var (name, lead) in Leads)
        {
            using var lone = Straying(ExecutionEngine.Translator, lead);
            lone.Run(100_000);
            var target = (ulong)Marshal.UnsafeAddrOfPinnedArrayElement(own, 512) - HostAddressOfZero(lone);
            lone.Start(LoneCpu.Code);
            lone.Cpu.Rdx = name.Contains("sum", StringComparison.Ordinal) ? target - lone.Cpu.Rsp : target;
            lone.Run(100_000);
            own.ShouldAllBe(value => value == Untouched, name);
        }
    }

    /// <summary>The same for one that walks there, over what is left unmapped around the window, in steps that touch nothing.</summary>
    [TranslatorFact]
    public unsafe void Nothing_is_pushed_to_the_hosts_memory_at_the_end_of_a_long_walk()
    {
        using var lone = Walking(ExecutionEngine.Translator, a => a.add(rsp, 1 << 20));
        lone.Machine.Memory.Map(new((lone.Cpu.Rsp + ((ulong)WarmRounds << 20)) & ~0xfffUL), GuestMemory.PageBytes, LoneCpu.ReadWrite);
        for (var i = 0; i < 3; i++)
        {
            lone.Cpu.Rcx = WarmRounds;
            lone.Run().ShouldBe(MachineStop.Idle);
            lone.Start(LoneCpu.Code);
        }

        byte* own = null;
        var steps = 50_000UL;
        for (; own == null && steps < 4_000_000; steps += own == null ? 5_000UL : 0)
        {
            // The host's page where the walk ends, if nothing else is there yet: other tests have machines too, each of which keeps tens of GiB of addresses free.
            var wanted = (byte*)(HostAddressOfZero(lone) + ((lone.Cpu.Rsp + (steps << 20) - 8) & ~0xfffUL));
            var mapped = HostSystem.Map(wanted, GuestMemory.PageBytes, HostSystem.ProtRead | HostSystem.ProtWrite, HostSystem.MapPrivate | HostSystem.MapAnonymous, -1);
            if (mapped == wanted) own = mapped;
            else HostSystem.Unmap(mapped, GuestMemory.PageBytes);
        }

        (own != null).ShouldBeTrue("no such address is free");
        lone.Cpu.Rcx = steps;
        lone.Cpu.Rax = Untouched;
        lone.Run().ShouldBe(MachineStop.Fault);
        new ReadOnlySpan<byte>(own, GuestMemory.PageBytes).IndexOfAnyExcept((byte)0).ShouldBe(-1);
        HostSystem.Unmap(own, GuestMemory.PageBytes);
    }

    private static unsafe ulong HostAddressOfZero(LoneCpu lone)
    {
        var native = lone.Machine.Interpreter.Native.ShouldNotBeNull();
        native.Cache.ShouldNotBeNull();
        return (ulong)native.Origin;
    }

    private const ulong Untouched = 0x5a5a_1234_5a5a_1234;

    private static ulong Negative(ulong value) => unchecked(0UL - value);

    /// <summary>What a hot load gave for the wild pairs, and the exceptions that it raised.</summary>
    private static string Access(ExecutionEngine engine, IReadOnlyList<(ulong Base, ulong Index)> wild, int scale)
    {
        using var lone = Warm(scale, engine);
        Continue(lone, wild);
        return string.Join("; ", [.. lone.Traps.Select(trap => $"{trap.Vector} {trap.ErrorCode} {trap.Address:x}"), $"0x{lone.Cpu.Rax:x}"]);
    }

    /// <summary>A loop that loads from the sum of each pair, and has done so often.</summary>
    private static LoneCpu Warm(int scale, ExecutionEngine engine = ExecutionEngine.Translator)
    {
        var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.mov(rdi, LoneCpu.Data.Value + 0x1000);
            a.Label(ref again);
            a.mov(rbx, __[rdi]);
            a.mov(r14, __[rdi + 8]);
            switch (scale)
            {
                case 0:
                    a.mov(rsi, rbx);
                    a.add(rsi, r14);
                    a.nop();
                    a.mov(rax, __[rsi]);
                    break;
                case 1:
                    a.mov(rax, __[rbx + r14]);
                    break;
                default:
                    a.mov(rax, __[rbx + r14 * 8]);
                    break;
            }

            a.mov(__[rdi], rax);
            a.add(rdi, 16);
            a.dec(ecx);
            a.jne(again);
            a.hlt();
        });
        lone.OnTrap = frame =>
        {
            frame.Rip += scale == 0 ? 3 : 4;
            return true;
        };
        lone.Machine.Memory.Load(LoneCpu.Data, [0xe8, 3]);
        for (var i = 0; i < 3; i++) Continue(lone, [.. Enumerable.Repeat((LoneCpu.Data.Value, 0UL), WarmRounds)]);
        return lone;
    }

    private static void Continue(LoneCpu lone, IReadOnlyList<(ulong Base, ulong Index)> pairs)
    {
        lone.Machine.Memory.Load(LoneCpu.Data + 0x1000, MemoryMarshal.AsBytes(pairs.SelectMany(pair => new[] { pair.Base, pair.Index }).ToArray().AsSpan()).ToArray());
        lone.Start(LoneCpu.Code);
        lone.Cpu.Rcx = (ulong)pairs.Count;
        lone.Run().ShouldBe(MachineStop.Idle);
    }

    private static string Stray(ExecutionEngine engine, Action<Assembler> lead, ulong wild)
    {
        using var lone = Straying(engine, lead);
        lone.Cpu.Rdx = wild;
        var stop = lone.Run(100_000);
        return $"{stop} {lone.Cpu.Rsp:x} {lone.Cpu.Rcx:x} {lone.Traps.Count} {string.Join("; ", lone.Traps.Distinct().TakeLast(3))}";
    }

    /// <summary>A loop in whose last round RDX is what the stack is led to.</summary>
    private static LoneCpu Straying(ExecutionEngine engine, Action<Assembler> lead)
    {
        var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.mov(r12, rsp);
            a.mov(ecx, WarmRounds);
            a.Label(ref again);
            a.mov(rsp, r12);
            a.mov(rax, r12);
            a.cmp(ecx, 1);
            a.cmove(rax, rdx);
            lead(a);
            a.push(rcx);
            a.pop(rsi);
            a.dec(ecx);
            a.jne(again);
            a.hlt();
        }).Start(LoneCpu.Code);
        lone.Cpu.Rdx = lone.Cpu.Rsp;

        // PUSH and POP are of one byte each; where nothing is, each round faults twice.
        lone.OnTrap = frame =>
        {
            if (lone.Traps.Count > 4 * WarmRounds) return false;
            frame.Rip += 1;
            return true;
        };
        return lone;
    }

    private static string Walk(ExecutionEngine engine, Action<Assembler> walk)
    {
        using var lone = Walking(engine, walk);
        lone.Cpu.Rcx = 100_000;
        lone.Run().ShouldBe(MachineStop.Fault);
        return $"{lone.Cpu.Rsp:x} {lone.Traps.ShouldHaveSingleItem()}";
    }

    private static LoneCpu Walking(ExecutionEngine engine, Action<Assembler> walk) => new LoneCpu(engine).Load(LoneCpu.Code, a =>
    {
        var again = a.CreateLabel();
        a.Label(ref again);
        walk(a);
        a.nop();
        a.dec(ecx);
        a.jne(again);
        a.push(rax);
        a.hlt();
    }).Start(LoneCpu.Code);
}
