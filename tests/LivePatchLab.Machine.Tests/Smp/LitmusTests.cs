using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// What several CPUs may see of each other's stores, in the shapes of the litmus tests (Sewell et al., x86-TSO, 2010). The machine promises
/// sequential consistency of data, more than x86-TSO: SB, which a store buffer allows, never shows either.
/// </summary>
public class LitmusTests
{
    private const int Rounds = 400;

    private static readonly ulong Data = TestMachine.DataStart.Value;

    public static TheoryData<int> Quanta => [1, 2, 3, 7, 50];

    [Theory]
    [MemberData(nameof(Quanta))]
    public void Store_buffering_never_shows(int quantum)
    {
        var seen = Outcomes(quantum, [(a, x, y) => StoreThenLoad(a, x, y), (a, x, y) => StoreThenLoad(a, y, x)]);
        seen.ShouldNotContain((0UL, 0UL), "x = 1; r0 = y || y = 1; r1 = x");
        seen.Count.ShouldBe(3);
    }

    [Theory]
    [MemberData(nameof(Quanta))]
    public void Message_passing_keeps_its_order(int quantum)
    {
        var seen = Outcomes(quantum,
        [
            (a, x, y) =>
            {
                a.mov(__dword_ptr[x], 1);
                a.mov(__dword_ptr[y], 1);
                a.mov(eax, 9);
            },
            (a, x, y) =>
            {
                a.mov(ecx, __dword_ptr[y]);
                a.mov(eax, __dword_ptr[x]);
                a.lea(ecx, __[rcx + (rcx * 2)]);
                a.add(eax, ecx);
            },
        ]);

        // 3 is the flag without the data.
        seen.ShouldNotContain((9UL, 3UL));
        seen.Select(pair => pair.Second).Distinct().Order().ShouldBe([0UL, 1UL, 4UL]);
    }

    [Fact]
    public void Load_buffering_and_write_order_stay_as_on_tso()
    {
        foreach (var quantum in new[] { 1, 2, 7 })
        {
            Outcomes(quantum, [(a, x, y) => LoadThenStore(a, x, y), (a, x, y) => LoadThenStore(a, y, x)]).ShouldNotContain((1UL, 1UL), "r0 = x; y = 1 || r1 = y; x = 1");
        }
    }

    /// <summary>The control: the harness does find an outcome that is allowed only by interleaving in the middle.</summary>
    [Fact]
    public void An_increment_without_lock_that_is_two_instructions_loses_updates()
    {
        Count(quantum: 3, seed: 1, a =>
        {
            a.mov(rcx, __[rbx]);
            a.inc(rcx);
            a.mov(__[rbx], rcx);
        }).ShouldBeLessThan(4UL * Rounds);
    }

    [Theory]
    [MemberData(nameof(Quanta))]
    public void Locked_operations_lose_no_update(int quantum)
    {
        foreach (var increment in (Action<Assembler>[])
        [
            a => a.@lock.inc(__qword_ptr[rbx]),
            a => a.@lock.add(__qword_ptr[rbx], 1),
            a =>
            {
                a.mov(ecx, 1);
                a.@lock.xadd(__[rbx], rcx);
            },
            a =>
            {
                var again = a.CreateLabel();
                a.mov(rax, __[rbx]);
                a.Label(ref again);
                a.lea(rcx, __[rax + 1]);
                a.@lock.cmpxchg(__[rbx], rcx);
                a.jne(again);
            },
            a => WithBitLock(a),
            a => WithExchangeLock(a),
        ])
        {
            for (var seed = 1UL; seed <= 3; seed++) Count(quantum, seed, increment).ShouldBe(4UL * Rounds, $"quantum {quantum}, seed {seed}");
        }
    }

    private static void StoreThenLoad(Assembler a, ulong stored, ulong loaded)
    {
        a.mov(__dword_ptr[stored], 1);
        a.mov(eax, __dword_ptr[loaded]);
    }

    private static void LoadThenStore(Assembler a, ulong loaded, ulong stored)
    {
        a.mov(eax, __dword_ptr[loaded]);
        a.mov(__dword_ptr[stored], 1);
    }

    private static void WithBitLock(Assembler a)
    {
        var again = a.CreateLabel();
        a.Label(ref again);
        a.@lock.bts(__qword_ptr[rbx + 64], 5);
        a.jc(again);
        a.mov(rcx, __[rbx]);
        a.inc(rcx);
        a.mov(__[rbx], rcx);
        a.@lock.btr(__qword_ptr[rbx + 64], 5);
    }

    private static void WithExchangeLock(Assembler a)
    {
        var again = a.CreateLabel();
        a.Label(ref again);
        a.mov(ecx, 1);
        a.xchg(__[rbx + 128], ecx);
        a.test(ecx, ecx);
        a.jne(again);
        a.mov(rcx, __[rbx]);
        a.inc(rcx);
        a.mov(__[rbx], rcx);
        a.mov(__dword_ptr[rbx + 128], 0);
    }

    /// <summary>All pairs of EAX with which two CPUs halt, over many seeds and delays in front.</summary>
    private static HashSet<(ulong First, ulong Second)> Outcomes(int quantum, Action<Assembler, ulong, ulong>[] programs)
    {
        var seen = new HashSet<(ulong, ulong)>();
        for (var seed = 1UL; seed <= 60; seed++)
        {
            using var machine = Make(2, quantum, seed);
            for (var cpu = 0; cpu < 2; cpu++)
            {
                var delay = (int)((seed >> (3 * cpu)) & 7);
                Start(machine, cpu, a =>
                {
                    for (var i = 0; i < delay; i++) a.nop();
                    programs[cpu](a, Data, Data + 64);
                    a.cli();
                    a.hlt();
                });
            }

            machine.Run();
            machine.Fault.ShouldBeNull();
            seen.Add((machine.Cpus[0].Registers[Gpr.Rax], machine.Cpus[1].Registers[Gpr.Rax]));
        }

        return seen;
    }

    /// <summary>Four CPUs add to one word, each as often as there are rounds; gives the word.</summary>
    private static ulong Count(int quantum, ulong seed, Action<Assembler> increment)
    {
        using var machine = Make(4, quantum, seed);
        for (var cpu = 0; cpu < 4; cpu++)
        {
            Start(machine, cpu, a =>
            {
                var loop = a.CreateLabel();
                a.mov(rbx, Data);
                a.mov(edx, Rounds);
                a.Label(ref loop);
                a.nop();
                increment(a);
                a.dec(edx);
                a.jne(loop);
                a.cli();
                a.hlt();
            });
        }

        machine.Run();
        machine.Fault.ShouldBeNull();
        return machine.Memory.ReadUInt64(TestMachine.DataStart);
    }

    private static SmpMachine Make(int cpus, int quantum, ulong seed)
    {
        var machine = new SmpMachine(new MachineOptions { Cpus = cpus, QuantumCyclesMax = quantum, Choices = new SeededChoices(new Seed(seed)) });
        machine.Memory.Map(TestMachine.CodeStart, 0x4000, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(TestMachine.DataStart, 0x1000, PagePermissions.Read | PagePermissions.Write);
        return machine;
    }

    private static void Start(SmpMachine machine, int cpu, Action<Assembler> program)
    {
        var start = TestMachine.CodeStart + (cpu * 0x1000);
        machine.Memory.Load(start, TestMachine.Assemble(start.Value, program));
        machine.Cpus[cpu].StartGuest(start, default);
    }
}
