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
    private const int WildAtOnce = 5, WarmRounds = 300;

    private static readonly ulong[] Bases =
    [
        0, 8, 0xffff_fff8, 1UL << 32, (1UL << 32) + 8, 1UL << 35, 1UL << 40, (1UL << 47) - 8, 1UL << 47, 0x7f00_1234_5678, 1UL << 52, 5UL << 52, 1UL << 60, 1UL << 61, 1UL << 62, 1UL << 63,
        Negative(8), Negative(1UL << 31), Negative(1UL << 32), Negative(1UL << 33), Negative(1UL << 47), Negative((1UL << 47) + 8), Negative(1UL << 52), Negative(1UL << 61), Negative(1UL << 62),
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
        foreach (var (name, lead) in ((string, Action<Assembler>)[])
        [
            ("xchg", a => a.xchg(rsp, rax)), ("xchg the other way", a => a.xchg(rax, rsp)), ("mov", a => a.mov(rsp, rax)), ("lea", a => a.lea(rsp, __[rax + 16])), ("lea with an index", a => a.lea(rsp, __[rsp + rax])),
            ("add", a => a.add(rsp, rax)), ("xadd", a => a.xadd(rax, rsp)), ("pop", a => { a.push(rax); a.pop(rsp); }), ("leave", a => { a.mov(rbp, rax); a.leave(); }), ("cmov", a => { a.test(rsp, rsp); a.cmovne(rsp, rax); }),
        ])
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

    private static ulong Negative(ulong value) => unchecked(0UL - value);

    /// <summary>What a hot load gave for the wild pairs, and the exceptions that it raised.</summary>
    private static string Access(ExecutionEngine engine, IReadOnlyList<(ulong Base, ulong Index)> wild, int scale)
    {
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
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
        }).Start(LoneCpu.Code);
        var pairs = Enumerable.Repeat((Base: LoneCpu.Data.Value, Index: 0UL), WarmRounds - 50).Concat(wild).Select(pair => new[] { pair.Base, pair.Index }).SelectMany(words => words).ToArray();
        lone.Machine.Memory.Load(LoneCpu.Data, [0xe8, 3]);
        lone.Machine.Memory.Load(LoneCpu.Data + 0x1000, MemoryMarshal.AsBytes(pairs.AsSpan()[^Math.Min(pairs.Length, 512)..]).ToArray());
        lone.Cpu.Rcx = (ulong)Math.Min(pairs.Length, 512) / 2;
        lone.OnTrap = frame =>
        {
            frame.Rip += scale == 0 ? 3 : 4;
            return true;
        };
        lone.Run().ShouldBe(MachineStop.Idle);
        return string.Join("; ", [.. lone.Traps.Select(trap => $"{trap.Vector} {trap.ErrorCode} {trap.Address:x}"), $"0x{lone.Cpu.Rax:x}"]);
    }

    private static string Stray(ExecutionEngine engine, Action<Assembler> lead, ulong wild)
    {
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var (again, end) = (a.CreateLabel(), a.CreateLabel());
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
        lone.Cpu.Rdx = wild;

        // PUSH and POP are of one byte each; where nothing is, each round faults twice.
        lone.OnTrap = frame =>
        {
            if (lone.Traps.Count > 4 * WarmRounds) return false;
            frame.Rip += 1;
            return true;
        };
        var stop = lone.Run(100_000);
        return $"{stop} {lone.Cpu.Rsp:x} {lone.Cpu.Rcx:x} {lone.Traps.Count} {string.Join("; ", lone.Traps.Distinct().TakeLast(3))}";
    }

    private static string Walk(ExecutionEngine engine, Action<Assembler> walk)
    {
        using var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.mov(ecx, 100_000);
            a.Label(ref again);
            walk(a);
            a.nop();
            a.dec(ecx);
            a.jne(again);
            a.push(rax);
            a.hlt();
        }).Start(LoneCpu.Code);
        lone.Run().ShouldBe(MachineStop.Fault);
        return $"{lone.Cpu.Rsp:x} {lone.Traps.ShouldHaveSingleItem()}";
    }
}
