using Iced.Intel;
using Xunit.Abstractions;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// The controls of the oracle's process: whatever the processor refuses is an answer for its slot, the slots around it run, and the tests' own
/// process keeps its signal handlers.
/// </summary>
public class HostRefusalTests(ITestOutputHelper output)
{
    private const ulong NotCanonical = 1UL << 63, Unmapped = 0x1000;

    private static readonly Dictionary<string, (Action<Assembler> Write, string Signal, int Trap, uint ErrorCode)> Refusals = new()
    {
        ["an undefined instruction"] = (a => a.ud2(), nameof(TrialSignal.Sigill), Traps.InvalidOpcode, 0),
        ["a breakpoint"] = (a => a.int3(), nameof(TrialSignal.Sigtrap), Traps.Breakpoint, 0),
        ["a load from nowhere"] = (a => a.mov(eax, __[rdx]), nameof(TrialSignal.Sigsegv), Traps.PageFault, Traps.PageFaultUser),
        ["a store to nowhere"] = (a => a.mov(__[rdx], eax), nameof(TrialSignal.Sigsegv), Traps.PageFault, Traps.PageFaultUser | Traps.PageFaultWrite),
        ["a jump to nowhere"] = (a => a.jmp(rdx), nameof(TrialSignal.Sigsegv), Traps.PageFault, Traps.PageFaultUser | Traps.PageFaultFetch),
        ["a load that is not canonical"] = (a => a.mov(eax, __[rcx]), nameof(TrialSignal.Sigsegv), Traps.GeneralProtection, 0),
        ["a stack that is not canonical"] = (a => Then(a, () => a.mov(rsp, rcx), () => a.push(rax)), nameof(TrialSignal.Sigbus), Traps.StackFault, 0),
        ["a division by zero"] = (a => a.div(ebx), nameof(TrialSignal.Sigfpe), Traps.DivideError, 0),
        ["a privileged instruction"] = (a => a.hlt(), nameof(TrialSignal.Sigsegv), Traps.GeneralProtection, 0),
        ["a single step"] = (a => Then(a, () => a.push(0x302), () => a.popfq(), () => a.nop()), nameof(TrialSignal.Sigtrap), Traps.Debug, 0),
    };

    public static TheoryData<string> Kinds => [.. Refusals.Keys];

    [HostTheory]
    [MemberData(nameof(Kinds))]
    public void What_the_processor_refuses_is_told_for_its_slot_and_the_others_run(string kind)
    {
        var (write, signal, trap, errorCode) = Refusals[kind];
        using var host = new HostProcessor();
        for (var round = 0; round < 2; round++)
        {
            for (var slot = 0; slot < HostProcessor.Slots; slot++)
            {
                ulong[] registers = [1, NotCanonical, Unmapped, 0, (HostProcessor.StackEndAt(slot) - 512).Value, 5, 6, (ulong)slot];
                host.Load(slot, registers, LazyFlags.Carry);
                host.SetCode(slot, TestMachine.Assemble(HostProcessor.CodeAt(slot).Value, slot % 3 == 1 ? Refused : a => a.adc(rdi, 100)));
            }

            host.Run();
            for (var slot = 0; slot < HostProcessor.Slots; slot++)
            {
                var refusal = host.RefusalOf(slot);
                var left = host.State(slot).RegisterAfter(Gpr.Rdi);
                if (slot % 3 != 1)
                {
                    refusal.ShouldBeNull();
                    left.ShouldBe((ulong)slot + 101);
                    continue;
                }

                refusal.ShouldNotBeNull();
                (refusal.Value.Signal.ToString(), refusal.Value.Trap, refusal.Value.ErrorCode).ShouldBe((signal, trap, errorCode), refusal.ToString());
                if (trap == Traps.PageFault) refusal.Value.Address.ShouldBe(Unmapped);
                left.ShouldBe((ulong)slot + 7);
            }
        }

        Should.Throw<NullReferenceException>(() => Length(null));
        Should.Throw<DivideByZeroException>(() => 1 / Length(""));

        void Refused(Assembler a)
        {
            a.add(rdi, 7);
            write(a);
            a.mov(rdi, -1);
        }
    }

    [HostFact]
    public void A_system_call_of_a_slot_does_not_reach_the_kernel()
    {
        using var host = new HostProcessor();
        host.Run();
        output.WriteLine(host.IsFenced ? "the fence stands" : "this kernel has no seccomp, so there is no fence to try");
        if (!host.IsFenced) return;
        const uint Exit = 60;
        host.Load(3, [Exit], 0);
        host.Run(3, [0x0f, 0x05]);
        host.RefusalOf(3).ShouldNotBeNull().Signal.ShouldBe(TrialSignal.Sigsys);
        host.RefusalOf(4).ShouldBeNull();
    }

    [HostFact]
    public void A_trial_that_never_ends_is_ended()
    {
        using var trials = new TrialProcess(3, new TrialMapping(HostProcessor.DataStart, 0x1000, PagePermissions.Read | PagePermissions.Execute)) { Patience = TimeSpan.FromMilliseconds(200) };
        SetTrial(trials, 0, a => a.inc(eax));
        SetTrial(trials, 1, a => a.db(0xeb, 0xfe));
        SetTrial(trials, 2, a => a.inc(eax));
        trials.Run(3);
        TrialEnd.Of(trials[1]).Signal.ShouldBe(TrialSignal.EndOfProcess);
        foreach (var good in (int[])[0, 2]) (TrialEnd.Of(trials[good]).Signal, trials[good].RegisterAfter(Gpr.Rax)).ShouldBe((TrialSignal.Sigtrap, 1UL));
    }

    /// <summary>The control of the oracle itself: what the machine runs and the host refuses is a difference.</summary>
    [HostFact]
    public void A_refusal_that_nothing_permits_is_a_difference()
    {
        using var oracle = new Oracle();
        var draw = new Draw(1);
        oracle.BeforeHost = host => host.SetCode(2, [0x0f, 0x0b]);
        oracle.Run(4, slot => ClaimedCodes.Instance(Code.Add_rm32_r32, draw, slot), () => ExecutionForms.Fast)
            .ShouldNotBeNull().ShouldStartWith("this processor refuses Add_rm32_r32 (SIGILL");
        oracle.BeforeHost = null;
        oracle.Run(4, slot => ClaimedCodes.Instance(Code.Add_rm32_r32, draw, slot), () => ExecutionForms.Fast).ShouldBeNull();
    }

    private static int Length(string? text) => text!.Length;

    private static void Then(Assembler a, params Action[] instructions)
    {
        foreach (var instruction in instructions) instruction();
    }

    private static unsafe void SetTrial(TrialProcess trials, int index, params Action<Assembler>[] writes)
    {
        var start = HostProcessor.DataStart + (256 * index);
        var code = TestMachine.Assemble(start.Value, a =>
        {
            foreach (var write in writes) write(a);
            a.int3();
        });
        code.CopyTo(trials.Window(start, code.Length));
        trials[index].SetRegister(Gpr.Rax, 0);
        trials[index].Before[TrialRecord.Rip] = start.Value;
        trials[index].Before[TrialRecord.Flags] = 0x202;
    }
}
