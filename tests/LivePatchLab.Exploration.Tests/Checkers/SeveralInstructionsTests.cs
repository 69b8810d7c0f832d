using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>Sites of several instructions: what is whole there, what is torn, and what becomes of a CPU that stands between two of them.</summary>
public sealed class SeveralInstructionsTests
{
    /// <summary>inc r12; inc r12, and the same of r13.</summary>
    private static readonly byte[] IncR12Twice = [0x49, 0xff, 0xc4, 0x49, 0xff, 0xc4], IncR13Twice = [0x49, 0xff, 0xc5, 0x49, 0xff, 0xc5];

    /// <summary>xchg ax, ax; inc r12, and the same of r13.</summary>
    private static readonly byte[] NopIncR12 = [0x66, 0x90, 0x49, 0xff, 0xc4], NopIncR13 = [0x66, 0x90, 0x49, 0xff, 0xc5];

    /// <summary>inc r12; xchg ax, ax; and a jump behind it.</summary>
    private static readonly byte[] Prologue = [0x49, 0xff, 0xc4, 0x66, 0x90], JumpBehind = [0xe9, 0x00, 0x00, 0x00, 0x00];

    public static TheoryData<string> Models => [.. FetchModel.Presets.Select(m => m.Name)];

    [Theory]
    [MemberData(nameof(Models))]
    public void I2_old_code_of_several_instructions_that_nobody_changes_is_not_torn(string model)
        => Explore(model, Invariants.NothingTorn | Invariants.EffectIsOldOrNew, Prologue, JumpBehind, Nothing).ShouldBeNull();

    [Theory]
    [MemberData(nameof(Models))]
    public void I2_new_code_of_several_instructions_is_not_torn(string model)
    {
        byte[] nop6 = [0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00];
        var expected = model == FetchModel.ArmLike.Name ? Invariants.NewAfterReturn : (Invariants?)null;
        Explore(model, Invariants.NothingTorn | Invariants.NewAfterReturn, nop6, IncR13Twice, StopMachine).ShouldBe(expected);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void I2_who_stands_between_two_instructions_goes_on_in_the_middle_of_the_new_one(string model)
        => Explore(model, Invariants.NothingTorn, Prologue, JumpBehind, StopMachine).ShouldBe(Invariants.NothingTorn, "all CPUs are stopped, and one of them there");

    [Theory]
    [MemberData(nameof(Models))]
    public void I9_who_stands_between_two_instructions_has_some_of_each(string model)
    {
        Explore(model, Invariants.NothingTorn, IncR12Twice, IncR13Twice, StopMachine).ShouldBeNull("each instruction is whole");
        Explore(model, Invariants.EffectIsOldOrNew, IncR12Twice, IncR13Twice, StopMachine).ShouldBe(Invariants.EffectIsOldOrNew);
    }

    [Fact]
    public void I9_a_pass_of_the_old_code_and_then_one_of_the_new_are_two_passes()
        => Explore("ideal", Invariants.EffectIsOldOrNew, NopIncR12, NopIncR13, StopMachine, visits: 3).ShouldBeNull("the first instruction is the same in both: whoever has done it may do either");

    [Fact]
    public void I9_what_an_interrupt_does_in_between_is_a_pass_of_its_own()
    {
        // The handler stores the new code, and goes through it while the CPU stands between the two old instructions. Its pass is new, and whole; the other goes on afterwards.
        Explore("ideal", Invariants.EffectIsOldOrNew, IncR12Twice, IncR13Twice, Nothing, interrupts: true).ShouldBe(Invariants.EffectIsOldOrNew);
        Explore("ideal", Invariants.EffectIsOldOrNew, NopIncR12, NopIncR13, Nothing, interrupts: true).ShouldBeNull();
    }

    [Fact]
    public void I9_a_call_inside_a_site_comes_back_to_the_same_pass()
    {
        // Behind the site stands syscall, and behind that two functions that only return; the pass goes on behind the call, where the new code has another instruction.
        byte[] old = [0xe8, 0x05, 0x00, 0x00, 0x00, 0x49, 0xff, 0xc4], @new = [0xe8, 0x06, 0x00, 0x00, 0x00, 0x49, 0xff, 0xc5], behind = [0x0f, 0x05, 0xc3, 0xc3];
        Explore("ideal", Invariants.NothingTorn, old, @new, StopMachine, behind: behind).ShouldBeNull();
        Explore("ideal", Invariants.EffectIsOldOrNew, old, @new, StopMachine, behind: behind).ShouldBe(Invariants.EffectIsOldOrNew);
    }

    [Fact]
    public void I9_a_loop_inside_a_site_may_do_one_round_of_each()
    {
        // inc r12; dec ebx; jnz to it: a round begins anew where the last one began. Every round is whole if only the first instruction differs.
        byte[] old = [0x49, 0xff, 0xc4, 0xff, 0xcb, 0x75, 0xf9], @new = [0x49, 0xff, 0xc5, 0xff, 0xcb, 0x75, 0xf9];
        Explore("ideal", Invariants.EffectIsOldOrNew, old, @new, StopMachine, visits: 3, behind: [0xc3]).ShouldBeNull();
    }

    [Fact]
    public void I6_an_instruction_behind_the_first_counts_as_old_too()
    {
        // A sled that is turned off: whoever stands between mov and call calls after the return.
        var sled = new PatchShape { From = SiteCode.XrayOn, To = SiteCode.XrayOff, SiteOffset = 62, EntersByJump = true };
        var result = ExplorationPlan.Of(() => new PatchScenario(new XraySled(), sled) { CheckedOnly = Invariants.NewAfterReturn }).Under(FetchModel.Ideal).Run();
        result.Counterexample.ShouldNotBeNull().Violation.Detail.ShouldContain("+6 after the patcher has returned");
    }

    [Fact]
    public void I1_an_emulated_instruction_of_one_byte_is_left_behind_its_int3()
    {
        // push rbp; pop rbp: the handler pushes, and goes on behind the INT3.
        Explore("ideal", Invariants.TrapsAreConsumed, [0x55, 0x5d], [0x66, 0x90], Int3Only, handler: Push).ShouldBeNull();

        // Where the site is one instruction, who goes on there is inside it.
        Explore("ideal", Invariants.TrapsAreConsumed, [0x66, 0x90], [0x89, 0xc0], Int3Only, handler: Ignore).ShouldBe(Invariants.TrapsAreConsumed);

        static IEnumerable<KernelStep> Push(Cpu cpu, TrapFrame regs)
        {
            regs.Rsp -= 8;
            regs.Consumed = true;
            yield break;
        }

        static IEnumerable<KernelStep> Ignore(Cpu cpu, TrapFrame regs)
        {
            regs.Consumed = true;
            yield break;
        }
    }

    [Fact]
    public void I2_is_judged_where_every_store_is_seen_at_once_too()
    {
        // mov r13, r12 over inc r12, byte by byte: in between stands inc r12 with another prefix, which harms nobody.
        byte[] inc = [0x49, 0xff, 0xc4], mov = [0x4d, 0x89, 0xe5];
        Explore("ideal", Invariants.NothingTorn, inc, mov, (kernel, sites) => mov.Select((value, i) => kernel.TextPoke(sites[0].Address + i, new[] { value }))).ShouldBe(Invariants.NothingTorn);
        Explore("ideal", Invariants.NothingTorn, inc, mov, (kernel, sites) => [kernel.TextPoke(sites[0].Address, mov)]).ShouldBeNull();
    }

    private static IEnumerable<KernelStep> Nothing(PatchContext kernel, IReadOnlyList<PatchSite> sites) => [new Delay(1)];

    private static IEnumerable<KernelStep> Int3Only(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        => [kernel.TextPoke(sites[0].Address, BreakpointState.Int3Opcode), kernel.RunSync()];

    private static IEnumerable<KernelStep> StopMachine(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        => [KernelStep.Call(Protocols.StopMachine.Attach(kernel.Kernel).Apply(kernel, sites))];

    private static Invariants? Explore(
        string model, Invariants what, byte[] old, byte[] @new, PatchSteps steps, int visits = 1, bool interrupts = false, byte[]? behind = null, Int3Handler? handler = null)
    {
        var result = ExplorationPlan.Of(() => new SeveralScenario(old, @new, steps, what) { Visits = visits, Interrupts = interrupts, Behind = behind, Handler = handler })
            .Under(FetchModel.Presets.Single(m => m.Name == model)).Run();
        if (result.Counterexample is null) result.IsExhaustive.ShouldBeTrue(result.Reason);
        return result.Counterexample?.Violation.Invariant;
    }
}
