using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>Instructions that are stored to again and again, each time with other bytes: they are executed as they stand, and what is translated for a store is small.</summary>
public sealed class VolatileInstructionTests
{
    private const int Rounds = 20_000, BodySteps = 12, PatchesUntilKnown = 12, Patches = 30;

    [Theory]
    [MemberData(nameof(LoneCpu.Engines), MemberType = typeof(LoneCpu))]
    public void Each_content_is_executed_as_it_stands_wherever_the_CPU_stops_meanwhile(ExecutionEngine engine)
    {
        using var lone = Loop(engine, out var immediate);
        for (var patch = 0; patch < Patches; patch++)
        {
            var addend = Patch(lone, immediate, patch);
            lone.Start(LoneCpu.Code).Cpu.Rcx = Rounds / 40;
            lone.Cpu.Rdx = 0;
            var cycles = 1;
            while (lone.Run(cycles) == MachineStop.ClockLimit) cycles = (cycles % 97) + 1;
            lone.Cpu.Rdx.ShouldBe((ulong)addend * (Rounds / 40));
        }
    }

    [TranslatorFact]
    public void An_instruction_with_ever_other_bytes_is_soon_all_that_is_translated_for_a_store()
    {
        foreach (var engine in (ExecutionEngine[])[ExecutionEngine.Translator, ExecutionEngine.Auto])
        {
            using var lone = Loop(engine, out var immediate);
            for (var patch = 0; patch < PatchesUntilKnown; patch++) RunPatched(lone, immediate, patch);
            var before = lone.Machine.EngineStatistics;
            for (var patch = PatchesUntilKnown; patch < PatchesUntilKnown + Patches; patch++) RunPatched(lone, immediate, patch);
            var after = lone.Machine.EngineStatistics;

            // It alone, and its precise form where the CPU stops at it.
            (after.TranslatedInstructions - before.TranslatedInstructions).ShouldBeInRange(Patches, 2 * Patches);
            (after.NativeInstructions - before.NativeInstructions).ShouldBeGreaterThan((long)Patches * Rounds * BodySteps);
        }
    }

    [TranslatorFact]
    public void A_few_contents_that_alternate_are_translated_once_each_and_whole()
    {
        using var lone = Loop(ExecutionEngine.Translator, out var immediate);
        for (var patch = 0; patch < 4; patch++) RunPatched(lone, immediate, patch);
        var before = lone.Machine.EngineStatistics;
        before.TranslatedInstructions.ShouldBeGreaterThan(4 * BodySteps);
        for (var patch = 0; patch < 4 * Patches; patch++) RunPatched(lone, immediate, patch % 4);
        lone.Machine.EngineStatistics.TranslatedInstructions.ShouldBe(before.TranslatedInstructions);
    }

    [TranslatorFact]
    public void Code_that_is_replaced_by_other_code_is_translated_whole_each_time()
    {
        using var lone = new LoneCpu(ExecutionEngine.Translator);
        for (var content = 1; content <= Patches; content++)
        {
            lone.Machine.TryStoreCode(lone.Cpu, LoneCpu.Code, TestMachine.Assemble(LoneCpu.Code.Value, a =>
            {
                a.mov(eax, content);
                a.nop();
                a.mov(ebx, -content);
                a.hlt();
            })).ShouldBeTrue();
            lone.Start(LoneCpu.Code).Run().ShouldBe(MachineStop.Idle);
            (lone.Cpu.Rax, lone.Cpu.Rbx).ShouldBe(((ulong)content, (uint)-content));
            lone.Machine.EngineStatistics.TranslatedBlocks.ShouldBe(content);
        }
    }

    [TranslatorFact]
    public void What_shares_a_line_with_changed_bytes_and_holds_none_of_them_stays_in_use()
    {
        GuestAddress changed = LoneCpu.Code + 128, kept = changed + 32;
        using var lone = new LoneCpu(ExecutionEngine.Translator).Load(LoneCpu.Code, a =>
        {
            a.call(rbx);
            a.hlt();
        });
        lone.Machine.Memory.Load(kept, TestMachine.Assemble(kept.Value, Seven));
        Call(kept).ShouldBe(7ul);
        for (var content = 1; content <= 4; content++)
        {
            lone.Machine.TryStoreCode(lone.Cpu, changed, TestMachine.Assemble(changed.Value, a =>
            {
                a.mov(eax, content);
                a.ret();
            })).ShouldBeTrue();
            Call(changed).ShouldBe((ulong)content);
            Call(kept).ShouldBe(7ul);
        }

        lone.Machine.EngineStatistics.FoundAgain.ShouldBe(0);

        ulong Call(GuestAddress function)
        {
            lone.Start(LoneCpu.Code).Cpu.Rbx = function.Value;
            lone.Run().ShouldBe(MachineStop.Idle);
            return lone.Cpu.Rax;
        }

        static void Seven(Assembler a)
        {
            a.mov(eax, 7);
            a.ret();
        }
    }

    /// <summary>Adds an immediate to RDX in each of RCX rounds, behind and before instructions that are always the same.</summary>
    private static LoneCpu Loop(ExecutionEngine engine, out GuestAddress immediate)
    {
        var lone = new LoneCpu(engine).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.Label(ref again);
            for (var i = 0; i < BodySteps / 2; i++) a.lea(r8, __[r8 + rcx + i]);
            a.mov(eax, 0x1234_5678);
            a.add(rdx, rax);
            for (var i = 0; i < BodySteps / 2; i++) a.lea(r9, __[r9 + rdx + i]);
            a.dec(rcx);
            a.jne(again);
            a.hlt();
        });
        var at = lone.Machine.Memory.Read(LoneCpu.Code, 128).AsSpan().IndexOf(BitConverter.GetBytes(0x1234_5678));
        at.ShouldBePositive();
        immediate = LoneCpu.Code + at;
        return lone;
    }

    private static int Patch(LoneCpu lone, GuestAddress immediate, int patch)
    {
        var addend = (patch * 0x0101) + 1;
        lone.Machine.TryStoreCode(lone.Cpu, immediate, BitConverter.GetBytes(addend)).ShouldBeTrue();
        return addend;
    }

    private static void RunPatched(LoneCpu lone, GuestAddress immediate, int patch)
    {
        var addend = Patch(lone, immediate, patch);
        lone.Start(LoneCpu.Code).Cpu.Rcx = Rounds;
        lone.Cpu.Rdx = 0;
        lone.Run().ShouldBe(MachineStop.Idle);
        lone.Cpu.Rdx.ShouldBe((ulong)addend * Rounds);
    }
}
