namespace LivePatchLab.Machine.Tests;

/// <summary>The controls of the comparison: one bit that is wrong is found, wherever it is, and named.</summary>
public sealed class LockStepControlTests
{
    private const int SpoiledQuantum = 5;

    [Theory]
    [InlineData("r11 is")]
    [InlineData("rsp is")]
    [InlineData("rip is")]
    [InlineData("rflags is")]
    [InlineData("fs base is")]
    [InlineData("gs base is")]
    [InlineData("the byte at ")]
    public void One_bit_that_is_wrong_is_found(string told)
    {
        using var run = new LockStepRun(LockStepSources.Streams, 1, [ExecutionEngine.Interpreter, ExecutionEngine.Interpreter])
        {
            Spoil = (scene, quantum) =>
            {
                if (quantum == SpoiledQuantum) Spoil(scene.Machine, told);
            },
        };
        var found = run.Run(300_000).ShouldNotBeNull();
        found.ShouldContain(told);
        found.ShouldContain("replay: lockstep --source streams --seed 1");
    }

    [Fact]
    public void An_instruction_too_many_is_found()
    {
        using var run = new LockStepRun(LockStepSources.Streams, 2, [ExecutionEngine.Interpreter, ExecutionEngine.Interpreter])
        {
            Spoil = (scene, quantum) =>
            {
                if (quantum == SpoiledQuantum) scene.Machine.Run(clockLimitCycles: scene.Machine.ClockCycles + 1);
            },
        };
        run.Run(300_000).ShouldNotBeNull().ShouldContain("quantum");
    }

    [Fact]
    public void Another_seed_is_another_program()
    {
        using var one = LockStepSources.Streams.Make(1, ExecutionEngine.Interpreter);
        using var other = LockStepSources.Streams.Make(2, ExecutionEngine.Interpreter);
        one.Machine.Hash().ShouldNotBe(other.Machine.Hash());
    }

    private static void Spoil(SmpMachine machine, string what)
    {
        var cpu = machine.Cpus[0];
        switch (what.Split(' ')[0])
        {
            case "rflags": cpu.Rflags ^= 1; break;
            case "fs": cpu.FsBase += 1; break;
            case "gs": cpu.GsBase += 1; break;
            case "the":
                // In the table, which the program only reads.
                var at = machine.Memory.Regions[1].Start + 0xfff;
                machine.Memory.Load(at, [(byte)~machine.Memory.Read(at, 1)[0]]);
                break;
            case var register: cpu[register] ^= 1; break;
        }
    }
}
