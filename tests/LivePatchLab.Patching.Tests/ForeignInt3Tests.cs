using LivePatchLab.Experiments;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching.Tests;

/// <summary>
/// Other CPUs run into an INT3 that has nothing to do with the patching, a kprobe's, again and again, while sites are poked. The patcher's handler is
/// asked about each; whether the memory that it reads is still there is what Linux 5.3 to 5.19 had wrong twice.
/// </summary>
public sealed class ForeignInt3Tests
{
    private const int SeedsMax = 60;

    [Theory]
    [InlineData("text_poke_bp_batch")]
    [InlineData("text_poke_bp_emulate")]
    [InlineData("text_poke_queue")]
    public void Taking_the_array_away_before_the_count_lets_a_handler_read_null(string protocol)
    {
        var found = Search(Protocols.Named(protocol));
        found.ShouldNotBeNull($"{SeedsMax} seeds").Bug.ShouldNotBeNull().ShouldContain("NULL pointer dereference of bp_patching.vec");
    }

    [Fact]
    public void A_descriptor_on_the_stack_is_used_after_its_function_has_returned()
    {
        var found = Search(Protocols.TextPokeBpRefcount).ShouldNotBeNull($"{SeedsMax} seeds");
        found.UseAfterReturn.ShouldNotBeNull().ShouldContain("which has returned");
    }

    [Theory]
    [InlineData("text_poke_bp")]
    [InlineData("text_poke_bp_list")]
    [InlineData("ftrace_2014")]
    [InlineData("text_poke_bp_two_phase")]
    [InlineData("text_poke_bp_global_desc")]
    [InlineData("text_poke_bp_per_cpu_refs")]
    [InlineData("smp_text_poke")]
    public void The_others_leave_a_foreign_int3_to_its_owner(string protocol) => Search(Protocols.Named(protocol)).ShouldBeNull();

    /// <summary>The kernel of the first seed that shows something wrong, or null.</summary>
    private static LinuxKernel? Search(IPatchProtocol protocol)
    {
        var hits = 0L;
        for (var seed = 1UL; seed <= SeedsMax; seed++)
        {
            using var lab = new LabMachine(new LabMachineOptions { Cpus = 5, Sites = 2, Costs = CostPreset.Unit, Workload = Workload.Idle, Seed = new(seed), QuantumCyclesMax = 4 });

            // Registered behind the patcher's own handler, as do_int3() asks kprobes after poke_int3_handler().
            lab.Switch(protocol, enable: true).IsGood.ShouldBeTrue();
            var probe = lab.Text.End;
            lab.Machine.Memory.Map(probe, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
            lab.Machine.Memory.Load(probe, [BreakpointState.Int3, 0xeb, 0xfd]);
            lab.Kernel.RegisterInt3Handler(Kprobe);

            // Several, so that one has answered the last IPI and trapped again while the patcher still waits for another.
            foreach (var cpu in lab.Machine.Cpus.Skip(1)) cpu.StartGuest(probe, lab.Text.StackTop(cpu.Id));
            lab.RunGuests(100);

            for (var i = 0; i < 6; i++)
            {
                var run = lab.Switch(protocol, enable: i % 2 != 0);
                if (lab.Kernel.Bug is not null || lab.Kernel.UseAfterReturn is not null) return lab.Kernel;
                run.IsGood.ShouldBeTrue($"{protocol.Name}, seed {seed}: {run}");
            }

            IEnumerable<KernelStep> Kprobe(Cpu cpu, TrapFrame regs)
            {
                if (regs.Rip - 1 != probe) yield break;
                hits++;
                regs.Consumed = true;
            }
        }

        hits.ShouldBeGreaterThan(SeedsMax);
        return null;
    }
}
