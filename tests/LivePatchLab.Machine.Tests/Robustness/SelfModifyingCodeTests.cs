namespace LivePatchLab.Machine.Tests;

/// <summary>Programs that change what they are about to execute, thousands of times over: in the block that they are in, in the next, across a line and across a page.</summary>
public sealed class SelfModifyingCodeTests
{
    private const int Rounds = 3_000;

    private static readonly byte[] MovEax = [0xb8, 0, 0, 0, 0];

    // add rbx, rax; dec r15; jne back; hlt
    private static readonly byte[] CountAndGoBack = [0x48, 0x01, 0xc3, 0x49, 0xff, 0xcf];

    public static TheoryData<ExecutionEngine, string, int, int> Cases
    {
        get
        {
            var cases = new TheoryData<ExecutionEngine, string, int, int>();
            foreach (var engine in Engines.Here)
            {
                cases.Add(engine, "its own block", 0x100, 0);
                cases.Add(engine, "its own block, a line further", 0x100, 0x3c);
                cases.Add(engine, "its own block, across a line", 0x12c, 0);
                cases.Add(engine, "its own block, across a page", 0xfee, 0);
                cases.Add(engine, "a block on the next page", 0xf00, 0x200);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Each_round_executes_what_it_has_just_stored(ExecutionEngine engine, string where, int at, int nopBytes)
    {
        foreach (var isWide in new[] { false, true })
        {
            using var lone = new LoneCpu(engine, LoneCpu.All);
            var start = LoneCpu.Code + at;

            // mov [rdi], r15b or r15d: the operand of the MOV behind it.
            byte[] store = isWide ? [0x44, 0x89, 0x3f] : [0x44, 0x88, 0x3f];
            byte[] code = [.. store, .. Enumerable.Repeat((byte)0x90, nopBytes), .. MovEax, .. CountAndGoBack];
            byte[] back = [0x0f, 0x85, .. BitConverter.GetBytes(-(code.Length + 6)), 0xf4];
            lone.Machine.Memory.Load(start, [.. code, .. back]);
            lone.Start(start);
            lone.Cpu.Rdi = start.Value + (ulong)(store.Length + nopBytes + 1);
            lone.Cpu.R15 = Rounds;
            lone.Run();
            lone.Cpu.Activity.ShouldBe(CpuActivity.Halted, where);
            lone.Cpu.Rbx.ShouldBe((ulong)Enumerable.Range(1, Rounds).Sum(i => isWide ? i : i & 0xff), where);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_store_across_the_border_changes_both_sides(ExecutionEngine engine, string where, int at, int nopBytes)
    {
        using var lone = new LoneCpu(engine, LoneCpu.All);
        var start = LoneCpu.Code + at;

        // mov [rdi], r14: all of MOV EAX, imm32 (five bytes), and the first three of what follows, which stay as they are.
        byte[] code = [0x4c, 0x89, 0x37, .. Enumerable.Repeat((byte)0x90, nopBytes), .. MovEax, .. CountAndGoBack];
        byte[] flip = [0x4d, 0x31, 0xee];
        byte[] back = [0x0f, 0x85, .. BitConverter.GetBytes(-(code.Length + flip.Length + 6)), 0xf4];
        code = [.. code[..^3], .. flip, .. code[^3..], .. back];
        lone.Machine.Memory.Load(start, code);
        lone.Start(start);
        lone.Cpu.Rdi = start.Value + 3 + (ulong)nopBytes;

        // mov eax, 0x10 and mov eax, 0x01000003 in turn.
        var (even, odd) = (0xc301_4800_0000_10b8UL, 0xc301_4801_0000_03b8UL);
        (lone.Cpu.R14, lone.Cpu.R13, lone.Cpu.R15) = (even, even ^ odd, Rounds);
        lone.Run();
        lone.Cpu.Activity.ShouldBe(CpuActivity.Halted, where);
        lone.Cpu.Rbx.ShouldBe((Rounds / 2 * 0x10UL) + (Rounds / 2 * 0x0100_0003UL), where);
    }

    [Theory]
    [MemberData(nameof(LoneCpu.Engines), MemberType = typeof(LoneCpu))]
    public void An_instruction_stored_over_itself_has_retired(ExecutionEngine engine)
    {
        using var lone = new LoneCpu(engine, LoneCpu.All);

        // mov [rdi], esi; inc eax; dec r15d; jne back; hlt: what is stored are the first four bytes of this.
        byte[] code = [0x89, 0x37, 0xff, 0xc0, 0x41, 0xff, 0xcf, 0x75, 0xf7, 0xf4];
        lone.Machine.Memory.Load(LoneCpu.Code, code);
        lone.Start(LoneCpu.Code);
        (lone.Cpu.Rdi, lone.Cpu.Rsi, lone.Cpu.R15) = (LoneCpu.Code.Value, BitConverter.ToUInt32(code), Rounds);
        lone.Run();
        lone.Cpu.Activity.ShouldBe(CpuActivity.Halted);
        lone.Cpu.Rax.ShouldBe((ulong)Rounds);
        lone.Cpu.RetiredInstructions.ShouldBe((4 * Rounds) + 1);
    }

    [Theory]
    [MemberData(nameof(LoneCpu.Engines), MemberType = typeof(LoneCpu))]
    public void New_content_again_and_again_takes_bounded_memory(ExecutionEngine engine)
    {
        // Each page of code is written anew in each round, by the host as a patcher writes; the bytes have never been there before.
        const int RoundsToWarmUp = 150, RoundsToMeasure = 450, FunctionsPerRound = 32;
        const long GrowthMax = 160L << 20;
        using var lone = new LoneCpu(engine, LoneCpu.All);
        var sum = 0UL;
        long Churn(int first, int rounds)
        {
            for (var round = first; round < first + rounds; round++)
            {
                for (var i = 0; i < FunctionsPerRound; i++)
                {
                    var at = LoneCpu.Code + (i * 64);

                    // mov ecx, 20; add rax, imm32; dec ecx; jne back; then on to the next function, or hlt.
                    byte[] onward = i < FunctionsPerRound - 1 ? [0xe9, .. BitConverter.GetBytes(64 - 20)] : [0xf4];
                    byte[] function = [0xb9, 20, 0, 0, 0, 0x48, 0x05, .. BitConverter.GetBytes((round * FunctionsPerRound) + i), 0xff, 0xc9, 0x75, 0xf6, .. onward];
                    lone.Machine.TryStoreCode(lone.Cpu, at, function).ShouldBeTrue();
                    sum += 20UL * (ulong)((round * FunctionsPerRound) + i);
                }

                lone.Start(LoneCpu.Code).Run();
            }

            GC.Collect();
            return Environment.WorkingSet;
        }

        var before = Churn(0, RoundsToWarmUp);
        (Churn(RoundsToWarmUp, RoundsToMeasure) - before).ShouldBeLessThan(GrowthMax);
        lone.Cpu.Rax.ShouldBe(sum);
        var statistics = lone.Machine.EngineStatistics;
        (statistics.DecodedBlocks + statistics.TranslatedBlocks).ShouldBeGreaterThan((RoundsToWarmUp + RoundsToMeasure) * FunctionsPerRound);
    }
}
