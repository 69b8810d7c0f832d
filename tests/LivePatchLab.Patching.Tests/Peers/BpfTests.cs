using LivePatchLab.Linux;
using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Patching.Tests;

/// <summary>BPF's contract, and its code that is used again while somebody is in it.</summary>
public sealed class BpfTests
{
    private static readonly GuestAddress Image = new(0x40_4000);

    [Theory]
    [InlineData("old", 0, 0)]
    [InlineData("new", BpfArchTextPoke.AlreadyNew, 0)]
    [InlineData("other", Errno.Ebusy, 0)]
    [InlineData("old", 0, 4)]
    [InlineData("data", Errno.Einval, 0)]
    [InlineData("nowhere", Errno.Einval, 0)]
    public void Bpf_arch_text_poke_answers_as_the_kernel_does(string there, int expected, int endbrBytes)
    {
        using var lab = new PeerMachine(FetchModel.SdmWorst, 1, 17);
        var ip = there switch { "data" => PeerMachine.Slot, "nowhere" => new GuestAddress(0x10), _ => lab.Site };
        if (endbrBytes > 0)
        {
            lab.Machine.Memory.Load(ip, [0xf3, 0x0f, 0x1e, 0xfa]);
            lab.Machine.Memory.Load(ip + endbrBytes, lab.OldCall);
        }

        if (there == "new") lab.Machine.Memory.Load(ip, lab.NewCall);
        if (there == "other") lab.Machine.Memory.Load(ip, [1, 2, 3, 4, 5]);
        var before = lab.Machine.Memory.IsMapped(ip, 5) ? lab.Machine.Memory.Read(ip + endbrBytes, 5) : [];

        Poke(lab, new BpfArchTextPoke(Protocols.TextPokeBp), ip, lab.OldCall, lab.NewCall).ShouldBe(expected);
        if (expected == 0) lab.Machine.Memory.Read(ip + endbrBytes, 5).ShouldBe(lab.NewCall);
        else if (before.Length > 0) lab.Machine.Memory.Read(ip, 5).ShouldBe(before);
        lab.Kernel.SyncRounds.ShouldBe(expected == 0 ? 3 : 0);
    }

    [Fact]
    public void An_answer_that_nobody_looks_at_makes_the_next_belief_wrong()
    {
        // B28: the program's text is not known yet at the first change, and is at the second.
        using var lab = new PeerMachine(FetchModel.SdmWorst, 1, 17);
        var known = false;
        var bpf = new BpfArchTextPoke(Protocols.TextPokeBp, (_, _) => known);
        Poke(lab, bpf, lab.Site, lab.OldCall, lab.NewCall).ShouldBe(Errno.Einval);
        known = true;
        Poke(lab, bpf, lab.Site, lab.NewCall, FtraceRecords.NopReplace()).ShouldBe(Errno.Ebusy);
    }

    [Fact]
    public void Bpf_arch_text_poke_changes_a_site_that_cpus_run_through()
    {
        for (var seed = 1UL; seed <= 10; seed++)
        {
            using var lab = new PeerMachine(FetchModel.SdmWorst, seed, 62);
            var outcome = lab.Patch(new BpfArchTextPoke(Protocols.TextPokeBp), new PatchSite(lab.Site, lab.OldCall, lab.NewCall));
            outcome.IsCaught.ShouldBeFalse($"seed {seed}: {outcome}");
            outcome.Failure.ShouldBeNull();
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_dispatcher_may_fill_a_half_again_only_when_nobody_is_in_it(bool waits)
    {
        // B26: the executor is in half 0, in a long loop, while two updates go by.
        using var lab = new PeerMachine(FetchModel.Ideal, 1, 17, FtraceRecords.NopReplace(), beforeSite: a =>
        {
            a.mov(eax, GuestGate.RcuReadLock);
            a.syscall();
        });
        Rcu.In(lab.Kernel);
        byte[] Code(GuestAddress at, int turns, int result)
        {
            var assembler = new Iced.Intel.Assembler(64);
            var again = assembler.CreateLabel();
            assembler.mov(ecx, turns);
            assembler.mov(esi, result);
            assembler.Label(ref again);
            assembler.dec(ecx);
            assembler.jnz(again);

            // Whoever came in by one program must go out by the same.
            assembler.cmp(esi, result);
            var good = assembler.CreateLabel();
            assembler.je(good);
            assembler.ud2();
            assembler.Label(ref good);
            assembler.mov(eax, GuestGate.RcuReadUnlock);
            assembler.syscall();
            assembler.ret();
            using var stream = new MemoryStream();
            assembler.Assemble(new Iced.Intel.StreamCodeWriter(stream), at.Value);
            return stream.ToArray();
        }

        var context = new PatchContext(lab.Kernel, lab.Machine.Cpus[0]);
        var dispatcher = new BpfDispatcher(context, lab.Site, Image, 128, waits);
        IEnumerable<KernelStep> Updates()
        {
            for (var i = 0; i < 6; i++)
            {
                var number = i;
                yield return KernelStep.Call(dispatcher.Update(at => Code(at, 400, number)));
                yield return new Delay(120);
            }
        }

        var first = lab.Machine.Cpus[0].Start("first", dispatcher.Update(at => Code(at, 400, 99)));
        lab.Machine.Run(first).ShouldBe(MachineStop.Completed);
        dispatcher.Current.ShouldBe(Image);
        lab.Machine.Cpus[1].StartGuest(new(0x40_0000), new(0x80_1ff8));
        var updates = lab.Machine.Cpus[0].Start("updates", Updates());
        lab.Machine.Run(updates, clockLimitCycles: 1_000_000).ShouldBe(waits ? MachineStop.Completed : MachineStop.Fault);
        if (!waits) lab.Machine.Fault!.Vector.ShouldBe(TrapVector.InvalidOpcode);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_trampoline_may_be_freed_only_when_nobody_sleeps_in_what_it_has_called(bool counts)
    {
        // B27
        using var lab = new PeerMachine(FetchModel.Ideal, 1, 17);
        var tasks = KernelTasks.In(lab.Kernel);
        var image = new BpfTrampolineImage(lab.Kernel, Image, 64, counts);
        lab.Load(Image, a =>
        {
            a.mov(eax, BpfTrampolineImage.GateEnter);
            a.syscall();
            a.mov(eax, GuestGate.Pause);
            a.syscall();
            a.mov(eax, BpfTrampolineImage.GateExit);
            a.syscall();
            a.ret();
        });
        lab.Load(new(0x40_6000), a =>
        {
            a.call(Image.Value);
            a.mov(eax, GuestGate.Exit);
            a.syscall();
        });
        var sleeper = tasks.Spawn(lab.Machine.Cpus[1], "sleeper", new(0x40_6000), new(0x80_1ff8));
        lab.Machine.Run().ShouldBe(MachineStop.Idle);
        sleeper.Status.Value.State.ShouldBe(TaskState.Sleeping);

        lab.Machine.Cpus[2].Start("waker", [new Delay(2_000), KernelStep.Call(tasks.Wake(lab.Machine.Cpus[2], sleeper))]);
        var put = lab.Machine.Cpus[0].Start("bpf_tramp_image_put", image.Put(lab.Machine.Cpus[0]));
        lab.Machine.Run(put, clockLimitCycles: 1_000_000).ShouldBe(MachineStop.Completed);
        image.IsFreed.ShouldBeTrue();
        lab.Machine.Run(clockLimitCycles: 1_000_000).ShouldBe(counts ? MachineStop.Idle : MachineStop.Fault);
        if (counts) sleeper.Status.Value.State.ShouldBe(TaskState.Exited);
        else lab.Machine.Fault!.Vector.ShouldBe(TrapVector.Breakpoint);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_deferred_sync_is_right_for_sites_behind_the_flush_and_wrong_for_those_in_front(bool siteInFront)
    {
        // P14, and B30 where the site is in the entry code.
        var caught = 0;
        for (var seed = 1UL; seed <= 60; seed++)
        {
            using var lab = new PeerMachine(FetchModel.SdmWorst, seed, 62, beforeSite: a =>
            {
                void Call(int number)
                {
                    a.mov(eax, number);
                    a.syscall();
                }

                if (!siteInFront) Call(GuestGate.KernelEnter);
                else Call(GuestGate.UserEnter);
                a.mov(edx, 3);
            });
            if (!siteInFront)
            {
                // Behind the flush: back to user mode in the functions that the site calls.
                foreach (var (target, word) in new[] { (PeerMachine.OldTarget, 0UL), (PeerMachine.NewTarget, 8UL) })
                {
                    lab.Load(target, a =>
                    {
                        a.@lock.inc(__qword_ptr[0x60_0000 + word]);
                        a.mov(eax, GuestGate.UserEnter);
                        a.syscall();
                        a.ret();
                    });
                }
            }

            DeferredSync.In(lab.Kernel);
            var protocol = new WithDeferredSync(Protocols.TextPokeBp);
            var outcome = lab.Patch(protocol, new PatchSite(lab.Site, lab.OldCall, lab.NewCall));
            if (outcome.IsCaught) caught++;
            if (!siteInFront) outcome.IsCaught.ShouldBeFalse($"seed {seed}: {outcome}");
        }

        (caught > 0).ShouldBe(siteInFront);
    }

    private static int Poke(PeerMachine lab, BpfArchTextPoke bpf, GuestAddress ip, byte[] oldCode, byte[] newCode)
    {
        var answer = int.MinValue;
        var context = new PatchContext(lab.Kernel, lab.Machine.Cpus[0]);
        var patcher = (BpfArchTextPoke.Patcher)bpf.Attach(lab.Kernel);
        var task = lab.Machine.Cpus[0].Start("bpf", [context.TextMutex.Acquire(), KernelStep.Call(patcher.Poke(context, ip, oldCode, newCode, a => answer = a)), context.TextMutex.Release()]);
        lab.Machine.Run(task).ShouldBe(MachineStop.Completed);
        return answer;
    }
}
