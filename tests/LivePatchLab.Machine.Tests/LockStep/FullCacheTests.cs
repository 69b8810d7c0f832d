using System.Runtime.CompilerServices;
using Xunit.Abstractions;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>Code memory so small that it is full again and again: then all translations are forgotten, and nothing changes that a guest could see.</summary>
public sealed class FullCacheTests(ITestOutputHelper output)
{
    private const long SmallBytes = NativeCache.LeastBytes;

    private const int Routines = 1_500, RoutineBytes = 64;

    private static readonly GuestAddress Text = new(0x100_0000);

    [TranslatorFact]
    public void Random_programs_run_alike_with_translations_forgotten()
        => CompareScenes(new("patched-streams, small", (seed, engine) => new RandomProgramScene(seed, engine, isPatched: true, translationBytesMax: SmallBytes)), seeds: 10, instructions: 300_000).ShouldBeGreaterThan(10);

    [TranslatorFact]
    public void Guests_run_alike_with_translations_forgotten()
        => CompareScenes(new("guests, small", (seed, engine) => new GuestScene(seed, engine, SmallBytes)), seeds: 4, instructions: 1_000_000).ShouldBeGreaterThan(0);

    [TranslatorFact]
    public void More_hot_code_than_fits_ends_in_the_state_of_the_interpreter()
    {
        var interpreted = Run(ExecutionEngine.Interpreter, SmallBytes);
        var kept = Run(ExecutionEngine.Translator, CodeRegion.SlotBytes);
        var forgotten = Run(ExecutionEngine.Translator, SmallBytes);
        output.WriteLine($"{forgotten.Statistics.CacheFlushes} flushes, {forgotten.Statistics.TranslatedBytes} bytes translated, {kept.Statistics.TranslatedBytes} when kept");
        kept.Statistics.CacheFlushes.ShouldBe(0);
        forgotten.Statistics.CacheFlushes.ShouldBeGreaterThan(100);
        forgotten.Statistics.TranslatedBytes.ShouldBeGreaterThan(10 * SmallBytes);
        kept.Hash.ShouldBe(interpreted.Hash);
        forgotten.Hash.ShouldBe(interpreted.Hash);
    }

    /// <summary>Native code never takes more than its limit; what is kept beside it in managed memory must go with it.</summary>
    [TranslatorFact]
    public void Of_what_was_forgotten_nothing_is_held()
    {
        using var lone = Load(ExecutionEngine.Translator, SmallBytes);
        RunRounds(lone, 2);
        var (before, flushes) = (LiveUnits(lone), lone.Machine.EngineStatistics.CacheFlushes);
        before.ShouldNotBeEmpty();
        RunRounds(lone, 4);
        (lone.Machine.EngineStatistics.CacheFlushes - flushes).ShouldBeGreaterThan(10);
        var now = LiveUnits(lone);
        GC.Collect();
        before.Count(unit => unit.IsAlive).ShouldBe(0);

        // The control: a reference that is weak does live while the cache holds what it leads to.
        now.Count(unit => unit.IsAlive).ShouldBe(now.Count);
    }

    [Fact]
    public void Code_memory_is_for_one_unit_at_least_and_a_slot_at_most()
    {
        Should.Throw<ArgumentOutOfRangeException>(() => new MachineOptions { TranslationBytesMax = SmallBytes - 1 }).Message.ShouldContain("translations take");
        Should.Throw<ArgumentOutOfRangeException>(() => new MachineOptions { TranslationBytesMax = CodeRegion.SlotBytes + 1 }).Message.ShouldContain("translations take");
    }

    /// <summary>Gives how often the translations of the last engine were forgotten.</summary>
    private long CompareScenes(LockStepSource source, int seeds, long instructions)
    {
        var (flushes, native) = (0L, 0L);
        for (var seed = 1UL; seed <= (ulong)seeds; seed++)
        {
            using var run = new LockStepRun(source, seed, Engines.On(OtherHosts.Own));
            run.Run(instructions).ShouldBeNull();
            flushes += run.CacheFlushes;
            native += run.NativeInstructions;
        }

        output.WriteLine($"{flushes} flushes, {native} instructions native");
        native.ShouldBeGreaterThan(seeds * 1000);
        return flushes;
    }

    private static (StateHash Hash, EngineStatistics Statistics) Run(ExecutionEngine engine, long translationBytesMax)
    {
        using var lone = Load(engine, translationBytesMax);
        RunRounds(lone, 12);
        return (lone.Machine.Hash(), lone.Machine.EngineStatistics);
    }

    /// <summary>A long row of little loops, and back to the first until R15 is 0.</summary>
    private static LoneCpu Load(ExecutionEngine engine, long translationBytesMax)
    {
        var lone = new LoneCpu(engine, translationBytesMax: translationBytesMax);
        var text = TestMachine.Assemble(Text.Value, a =>
        {
            var start = a.CreateLabel();
            a.Label(ref start);
            for (var i = 0; i < Routines; i++)
            {
                var loop = a.CreateLabel();
                a.mov(ecx, 3);
                a.Label(ref loop);
                a.add(rax, 0x1234567 + i);
                a.imul(rax, rax, 33);
                a.xor(__qword_ptr[rdi + (8 * (i % 512))], rax);
                a.dec(ecx);
                a.jne(loop);
            }

            a.dec(r15);
            a.jne(start);
            a.hlt();
        });
        lone.Machine.Memory.Map(Text, Routines * RoutineBytes, LoneCpu.ReadExecute);
        lone.Machine.Memory.Load(Text, text);
        return lone;
    }

    private static void RunRounds(LoneCpu lone, int rounds)
    {
        lone.Start(Text);
        lone.Cpu.Rdi = LoneCpu.Data.Value;
        lone.Cpu.R15 = (ulong)rounds;
        lone.Run().ShouldBe(MachineStop.Idle);
        lone.Cpu.R15.ShouldBe(0UL);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static List<WeakReference> LiveUnits(LoneCpu lone)
    {
        var units = new List<WeakReference>();
        var cache = lone.Machine.Interpreter.Native!.Cache!;
        for (var offset = 0; offset < Routines * RoutineBytes; offset++)
            if (cache.LiveAt((Text + offset).Value) is { } unit) units.Add(new(unit));
        return units;
    }
}
