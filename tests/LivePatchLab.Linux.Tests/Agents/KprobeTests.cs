using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Linux.Tests;

/// <summary>Probes on code that CPUs are running through, under the worst fetch model.</summary>
public sealed class KprobeTests
{
    private const int Passes = 400, Executors = 2, SeedsMax = 60;

    /// <summary>Three short instructions that an optimised probe's jump covers: inc ecx; xor eax, eax; nop.</summary>
    private static readonly byte[] Site = [0xff, 0xc1, 0x31, 0xc0, 0x90];

    [Fact]
    public void Every_pass_of_an_armed_probe_is_one_hit_and_after_it_is_gone_there_is_none()
    {
        using var lab = Make(seed: 1, out var address);
        var probes = new Kprobes(lab.Kernel);
        var probe = new Kprobe(lab.Kernel, "probe", address);
        lab.Do(probes.Register(probe)).ShouldBe(MachineStop.Completed);
        (probe.Error, probe.State.Value, lab.Machine.Memory.Read(address, 1)[0]).ShouldBe((0, KprobeState.Armed, (byte)0xcc));

        Run(lab);
        probe.Hits.Value.ShouldBe(Executors * Passes);
        lab.Do(probes.Unregister(probe)).ShouldBe(MachineStop.Completed);
        Run(lab);
        probe.Hits.Value.ShouldBe(Executors * Passes);
        lab.Machine.Memory.Read(address, Site.Length).ShouldBe(Site);
        probes.Registered.ShouldBeEmpty();
        probe.Memory.IsFreed.ShouldBeTrue();
    }

    [Fact]
    public void Probes_that_come_and_go_while_cpus_run_deliver_each_trap_once_and_change_nothing()
    {
        long hits = 0;
        for (var seed = 1UL; seed <= 20; seed++)
        {
            var outcome = ComeAndGo(seed, KprobesOptions.Mainline);
            outcome.Stop.ShouldBe(MachineStop.Idle, $"seed {seed}: {outcome.Fault}");
            outcome.Counts.ShouldAllBe(count => count == Passes);
            outcome.Hits.ShouldBe(outcome.Traps, $"seed {seed}");
            hits += outcome.Hits;
        }

        hits.ShouldBeGreaterThan(0);
    }

    [Fact]
    public void Without_the_syncs_a_cpu_hits_an_int3_that_has_lost_its_probe()
    {
        // B13, the disarming half: synchronize_rcu() lets go of the probe, but not of the INT3 that was fetched before.
        var options = KprobesOptions.Before5_5 with { RetriesVanished = false };
        var deaths = Enumerable.Range(1, SeedsMax).Select(seed => ComeAndGo((ulong)seed, options)).Where(o => o.Stop == MachineStop.Fault).ToList();
        deaths.ShouldNotBeEmpty();
        deaths.ShouldContain(o => o.Fault!.Contains("#BP", StringComparison.Ordinal));
    }

    [Fact]
    public void The_retry_of_old_kernels_makes_up_for_the_missing_syncs_and_has_nothing_to_do_where_they_are()
    {
        // B14.
        long retries = 0;
        for (var seed = 1UL; seed <= 20; seed++)
        {
            var old = ComeAndGo(seed, KprobesOptions.Before5_5);
            old.Stop.ShouldBe(MachineStop.Idle, $"seed {seed}: {old.Fault}");
            old.Counts.ShouldAllBe(count => count == Passes);
            retries += old.Retries;
            ComeAndGo(seed, KprobesOptions.Mainline with { RetriesVanished = true }).Retries.ShouldBe(0);
        }

        retries.ShouldBeGreaterThan(0);
    }

    [Fact]
    public void An_int3_of_nobody_is_nobodys()
    {
        using var lab = Make(seed: 1, out var address);
        var probes = new Kprobes(lab.Kernel);
        lab.Machine.Memory.Load(address, [0xcc]);
        var probe = new Kprobe(lab.Kernel, "probe", address);
        lab.Do(probes.Register(probe)).ShouldBe(MachineStop.Completed);
        probe.Error.ShouldBe(Errno.Einval);
        var elsewhere = new Kprobe(lab.Kernel, "elsewhere", address + 4);
        lab.Do(probes.Register(elsewhere));
        elsewhere.Error.ShouldBe(0);
        var twice = new Kprobe(lab.Kernel, "twice", address + 4);
        lab.Do(probes.Register(twice));
        twice.Error.ShouldBe(Errno.Ebusy);
        var nowhere = new Kprobe(lab.Kernel, "nowhere", new(0x10));
        lab.Do(probes.Register(nowhere));
        nowhere.Error.ShouldBe(Errno.Efault);

        lab.Spawn(1, "runner", 0);
        lab.RunOut().ShouldBe(MachineStop.Fault);
        lab.Machine.Fault!.Rip.ShouldBe(address);
    }

    [Fact]
    public void An_optimised_probe_counts_every_pass_by_int3_or_by_jump_and_the_code_does_what_it_did()
    {
        long jumps = 0;
        for (var seed = 1UL; seed <= 15; seed++)
        {
            var outcome = OptimiseUnderway(seed, KprobesOptions.Mainline);
            outcome.Stop.ShouldBe(MachineStop.Idle, $"seed {seed}: {outcome.Fault}");
            outcome.Counts.ShouldAllBe(count => count == Passes, $"seed {seed}");
            outcome.Hits.ShouldBe(outcome.Traps);
            jumps += outcome.JumpHits;
        }

        jumps.ShouldBeGreaterThan(0);
    }

    [Fact]
    public void Without_the_wait_for_tasks_one_that_was_preempted_goes_on_inside_the_jump()
    {
        // B15: every sync is there.
        var options = KprobesOptions.Mainline with { WaitsForTasks = false };
        Enumerable.Range(1, SeedsMax).Select(seed => OptimiseUnderway((ulong)seed, options))
            .ShouldContain(o => o.Stop != MachineStop.Idle || o.Counts.Any(count => count != Passes));
    }

    [Fact]
    public void Without_the_sync_of_arming_a_cpu_walks_into_the_instructions_after_the_wait_for_tasks()
    {
        // B13, the arming half: the grace period is over, and a CPU may still be given the first instruction without the INT3.
        var options = KprobesOptions.Mainline with { SynchronisesCores = false };
        Enumerable.Range(1, 10 * SeedsMax).Select(seed => OptimiseUnderway((ulong)seed, options))
            .ShouldContain(o => o.Stop != MachineStop.Idle || o.Counts.Any(count => count != Passes));
    }

    [Fact]
    public void The_retry_takes_the_int3_of_another_patcher_that_is_just_gone_for_its_own()
    {
        // B14: asked before the other's handler, it sends the CPU back, and the owner never hears of the trap.
        foreach (var (retries, heard) in new[] { (true, 0), (false, 1) })
        {
            using var lab = Make(seed: 1, out var address);
            var probes = new Kprobes(lab.Kernel, KprobesOptions.Mainline with { RetriesVanished = retries });
            var traps = 0;
            IEnumerable<KernelStep> Owner(Cpu cpu, TrapFrame regs)
            {
                traps++;
                regs.Rip -= 1;
                regs.Consumed = true;
                yield return new Delay(1);
            }

            lab.Kernel.RegisterInt3Handler(Owner);
            lab.Do([new TextPoke(lab.Kernel, address, new byte[] { 0xcc }), new RunSync(lab.Kernel)]);

            // The write that removes the INT3 comes while the handlers of its trap are running.
            var trapped = false;
            lab.Machine.Events.Trapped += _ =>
            {
                if (trapped) return;
                trapped = true;
                lab.Machine.TryStoreCode(lab.Cpu(0), address, Site.AsSpan(0, 1)).ShouldBeTrue();
            };
            lab.Spawn(1, "runner", 0);
            lab.RunOut().ShouldBe(MachineStop.Idle);
            (traps, probes.Retries, lab.Word(0)).ShouldBe((heard, 1L - heard, (ulong)Passes));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Code_under_a_jump_that_waits_to_be_removed_is_copied_right_only_by_who_knows_of_it(bool knows)
    {
        // B34.
        using var lab = Make(seed: 1, out var address);
        var probes = new Kprobes(lab.Kernel, KprobesOptions.Mainline with { KnowsUnoptimising = knows });
        var probe = new Kprobe(lab.Kernel, "probe", address);
        lab.Do(probes.Register(probe));
        lab.Do(probes.Optimise(lab.Cpu(0), probe)).ShouldBe(MachineStop.Completed);
        lab.Machine.Memory.Read(address, 1).ShouldBe([0xe9]);

        var second = new Kprobe(lab.Kernel, "second", address + 2);
        var removal = lab.Cpu(1).Start("kprobe_optimizer", probes.Unoptimise(probe, delayCycles: 5_000));
        lab.Do([new Delay(100), KernelStep.Call(probes.Register(second))]).ShouldBe(MachineStop.Completed);
        probe.State.Value.ShouldBe(KprobeState.Armed, "the jump had to make way");
        second.OriginalCode.Take(2).SequenceEqual(Site[2..4]).ShouldBe(knows);
        lab.Machine.Run(removal, clockLimitCycles: 1_000_000).ShouldBe(MachineStop.Completed);
        lab.Machine.Memory.Read(address + 3, 2).ShouldBe(Site[3..]);
    }

    private sealed record Outcome(MachineStop Stop, string? Fault, ulong[] Counts, long Hits, long JumpHits, long Traps, long Retries);

    private static AgentMachine Make(ulong seed, out GuestAddress address)
    {
        var lab = new AgentMachine(cpus: Executors + 1, seed: seed);
        for (var i = 0; i < Executors; i++)
        {
            var word = i;
            lab.Load(0x100 * i, a => AgentMachine.Loop(a, Passes, word, body =>
            {
                body.xor(ecx, ecx);
                body.call(AgentMachine.Code.Value + 0x800);

                // What the probed instructions compute is what is counted.
                body.sub(rcx, 1);
                body.sub(__qword_ptr[AgentMachine.Data.Value + (8 * (ulong)word)], rcx);
                body.sub(__qword_ptr[AgentMachine.Data.Value + (8 * (ulong)word)], rax);
                body.mov(eax, 1);
            }, yields: true));
        }

        lab.Load(0x800, a =>
        {
            a.db(Site);
            a.ret();
        });
        address = AgentMachine.Code + 0x800;
        return lab;
    }

    private static void Run(AgentMachine lab)
    {
        for (var i = 0; i < Executors; i++) lab.Spawn(i + 1, $"runner {i} from {lab.Machine.ClockCycles}", 0x100 * i);
        lab.RunOut().ShouldBe(MachineStop.Idle);
    }

    private static Outcome ComeAndGo(ulong seed, KprobesOptions options)
    {
        using var lab = Make(seed, out var address);
        var probes = new Kprobes(lab.Kernel, options);
        long hits = 0;
        IEnumerable<KernelStep> Churn()
        {
            for (var i = 0; i < 12; i++)
            {
                var probe = new Kprobe(lab.Kernel, $"probe {i}", address);
                yield return KernelStep.Call(probes.Register(probe));
                yield return new Delay(100);
                yield return KernelStep.Call(probes.Unregister(probe));
                yield return new Delay(30);
                hits += probe.Hits.Value;
            }
        }

        return Finish(lab, probes, Churn(), () => (hits, 0), perCpu: 1);
    }

    private static Outcome OptimiseUnderway(ulong seed, KprobesOptions options)
    {
        using var lab = Make(seed, out var address);
        var probes = new Kprobes(lab.Kernel, options);
        var probe = new Kprobe(lab.Kernel, "probe", address);
        IEnumerable<KernelStep> Cycle()
        {
            // Two tasks share the CPU and are preempted often: sooner or later one is parked in front of the second instruction.
            for (var i = 0; i < 10; i++)
            {
                yield return lab.Tasks.SendReschedule(lab.Cpu(1));
                yield return new Delay(3 + (int)(seed % 7));
            }

            yield return KernelStep.Call(probes.Register(probe));
            yield return KernelStep.Call(probes.Optimise(lab.Cpu(0), probe));
            yield return new Delay(500);
            yield return KernelStep.Call(probes.Unoptimise(probe));
            yield return KernelStep.Call(probes.Unregister(probe));
        }

        return Finish(lab, probes, Cycle(), () => (probe.Hits.Value, probes.JumpHitsOf(probe)), perCpu: 2);
    }

    private static Outcome Finish(AgentMachine lab, Kprobes probes, IEnumerable<KernelStep> work, Func<(long Hits, long Jumps)> hits, int perCpu)
    {
        long traps = 0;
        lab.Machine.Events.Trapped += _ => traps++;
        for (var i = 0; i < Executors; i++) lab.Spawn(perCpu == 1 ? i + 1 : 1, $"runner {i}", 0x100 * i);
        lab.Cpu(0).Start("work", work);
        var stop = lab.RunOut();
        var (byInt3, byJump) = hits();
        var counts = Enumerable.Range(0, Executors).Select(lab.Word).ToArray();
        return new(stop, lab.Machine.Fault?.ToString(), counts, byInt3, byJump, traps, probes.Retries);
    }
}
