using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>Bytes of a dirty line that nobody has stored to run like clean code, until somebody wants to be told of every fetch from such a line.</summary>
public sealed class ObservedFetchTests
{
    private const int Cycles = 3_000;

    public static TheoryData<ExecutionEngine> Engines => LoneCpu.Engines;

    [Theory]
    [MemberData(nameof(Engines))]
    public void Whoever_begins_to_look_while_a_line_is_dirty_is_told_of_all_that_is_fetched_from_then_on(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine, fetch: FetchModel.SdmWorst).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.Label(ref again);
            a.inc(rax);
            a.inc(rdx);
            a.jmp(again);
        });
        lone.Machine.TryStoreCode(lone.Cpu, LoneCpu.Code + 0x30, [0xcc]).ShouldBeTrue();
        lone.Start(LoneCpu.Code);
        var fetched = 0;
        void Count(CpuId cpu, long clockCycles, GuestAddress rip, ReadOnlySpan<byte> bytes, FetchCoherence coherence) => fetched++;
        void RunOn() => lone.Run(Cycles).ShouldBe(MachineStop.ClockLimit);

        RunOn();
        lone.Machine.Events.DirtyFetched += Count;
        RunOn();
        fetched.ShouldBe(Cycles);
        lone.Machine.Events.DirtyFetched -= Count;
        RunOn();
        fetched.ShouldBe(Cycles);
        lone.Machine.Versions.DirtyLineCount.ShouldBe(1);
        lone.Cpu.Rax.ShouldBe((ulong)Cycles);
        lone.Cpu.RetiredInstructions.ShouldBe(3 * Cycles);
    }
}
