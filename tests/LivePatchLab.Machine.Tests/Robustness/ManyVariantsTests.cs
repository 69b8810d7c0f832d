using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>An address that holds one content after the other: of the last few the decoded or translated form is found again, of the older ones it is made anew.</summary>
public sealed class ManyVariantsTests
{
    private const int Contents = 100, BlocksKept = 32, UnitsKept = 16;

    [Fact]
    public void The_interpreter_finds_the_last_contents_of_an_address_again_and_has_forgotten_older_ones()
    {
        using var lone = new LoneCpu(ExecutionEngine.Interpreter);
        for (var content = 0; content < Contents; content++) Execute(lone, content);

        // The HLT is a block of its own, as the MOV is run alone.
        Decoded(lone).ShouldBe((Contents + 1, Contents));
        for (var content = Contents - BlocksKept; content < Contents; content++) Execute(lone, content);
        Decoded(lone).ShouldBe((Contents + 1, Contents));
        Execute(lone, Contents - BlocksKept - 1);
        Decoded(lone).ShouldBe((Contents + 2, Contents + 1));

        // That one took the place of the oldest, not of the last.
        Execute(lone, Contents - 1);
        Decoded(lone).ShouldBe((Contents + 2, Contents + 1));
        Execute(lone, Contents - BlocksKept);
        Decoded(lone).ShouldBe((Contents + 3, Contents + 2));
    }

    [TranslatorFact]
    public void The_translator_finds_the_last_contents_of_an_address_again_and_has_forgotten_older_ones()
    {
        using var lone = new LoneCpu(ExecutionEngine.Translator);
        for (var content = 0; content < Contents; content++) Execute(lone, content, isPlain: true);
        Translated(lone).ShouldBe((Contents, 0));
        for (var content = Contents - UnitsKept; content < Contents; content++) Execute(lone, content, isPlain: true);

        // The last was still there.
        Translated(lone).ShouldBe((Contents, UnitsKept));
        Execute(lone, Contents - UnitsKept - 1, isPlain: true);
        Translated(lone).ShouldBe((Contents + 1, UnitsKept));
        Execute(lone, Contents - 1, isPlain: true);
        Translated(lone).ShouldBe((Contents + 1, UnitsKept + 1));
    }

    /// <summary>Whatever was forgotten of them, each content is executed as it stands, also where two addresses share the line.</summary>
    [Theory]
    [MemberData(nameof(LoneCpu.Engines), MemberType = typeof(LoneCpu))]
    public void Contents_in_any_order_are_executed_as_they_stand(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine);
        for (var i = 0; i < 20 * Contents; i++) Execute(lone, i * 37 % Contents, isPlain: i % 3 == 0, at: LoneCpu.Code + (i % 2 * 16));
    }

    [TranslatorFact]
    public void What_could_not_be_translated_is_once_other_bytes_stand_there()
    {
        const int Rounds = 10_000;
        using var lone = new LoneCpu(ExecutionEngine.Translator).Load(LoneCpu.Code, a =>
        {
            var again = a.CreateLabel();
            a.Label(ref again);
            a.cld();
            a.dec(ecx);
            a.jne(again);
            a.hlt();
        });
        var before = 0L;
        long NativeOfARun()
        {
            lone.Start(LoneCpu.Code);
            lone.Cpu.Rcx = Rounds;
            lone.Run().ShouldBe(MachineStop.Idle);
            var native = lone.Machine.EngineStatistics.NativeInstructions - before;
            before += native;
            return native;
        }

        NativeOfARun().ShouldBeLessThan(Rounds);
        lone.Machine.TryStoreCode(lone.Cpu, LoneCpu.Code, [0x90]).ShouldBeTrue();
        NativeOfARun().ShouldBeGreaterThan(2 * Rounds);
        lone.Machine.TryStoreCode(lone.Cpu, LoneCpu.Code, [0xfc]).ShouldBeTrue();
        NativeOfARun().ShouldBeLessThan(Rounds);
    }

    private static (long Blocks, long Singles) Decoded(LoneCpu lone) => (lone.Machine.Interpreter.DecodedBlocks, lone.Machine.Interpreter.DecodedSingles);

    private static (long Translated, long FoundAgain) Translated(LoneCpu lone)
        => (lone.Machine.EngineStatistics.TranslatedBlocks, lone.Machine.EngineStatistics.FoundAgain);

    private static void Execute(LoneCpu lone, int content, bool isPlain = false) => Execute(lone, content, isPlain, LoneCpu.Code);

    /// <summary>Lays down a MOV of the content and executes it; one that is not plain crosses a page, for which it is run alone.</summary>
    private static void Execute(LoneCpu lone, int content, bool isPlain, GuestAddress at)
    {
        var target = LoneCpu.Data + (isPlain ? 0 : GuestMemory.PageBytes - 2);
        lone.Machine.TryStoreCode(lone.Cpu, at, TestMachine.Assemble(at.Value, a =>
        {
            a.mov(__dword_ptr[(long)target.Value], content);
            a.hlt();
        })).ShouldBeTrue();
        lone.Start(at).Run().ShouldBe(MachineStop.Idle);
        lone.Machine.Memory.Read(target, 4).ShouldBe(BitConverter.GetBytes(content));
    }
}
