using LivePatchLab.Machine;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Linux.Tests;

/// <summary>Memory that is used after it was freed, locks taken in two orders, and syncs put off.</summary>
public sealed class HeapAndLockTests
{
    [Fact]
    public void A_reader_that_the_owner_does_not_wait_for_reads_freed_memory()
    {
        using var lab = new AgentMachine();
        var heap = KernelHeap.In(lab.Kernel);
        var descriptor = heap.Allocate("desc", 1);
        lab.Cpu(1).Start("handler", [new Delay(50), descriptor.Load()]);
        lab.Do([descriptor.Free(), new Delay(200)]).ShouldBe(MachineStop.Requested);
        heap.UsesAfterFree.ShouldHaveSingleItem().ToString().ShouldBe("use after free: CPU1 reads desc");
        lab.Kernel.Bug.ShouldBe("use after free: CPU1 reads desc");
    }

    [Fact]
    public void A_reader_that_is_waited_for_does_not()
    {
        using var lab = new AgentMachine();
        var heap = KernelHeap.In(lab.Kernel);
        var descriptor = heap.Allocate("desc", 1);
        var load = descriptor.Load();
        lab.Cpu(1).Start("handler", [lab.Rcu.ReadLock(lab.Cpu(1)), new Delay(500), load, lab.Rcu.ReadUnlock(lab.Cpu(1))]);
        lab.Do([new Delay(100), KernelStep.Call(lab.Rcu.Synchronize()), descriptor.Free(), new Delay(200)]).ShouldBe(MachineStop.Completed);
        heap.UsesAfterFree.ShouldBeEmpty();
        (load.Value, descriptor.IsFreed, descriptor.Value).ShouldBe((1, true, 0x6b6b6b6b));
    }

    [Fact]
    public void Where_the_machine_may_go_on_the_reader_gets_what_lies_there_and_the_writer_changes_it()
    {
        using var lab = new AgentMachine();
        var heap = KernelHeap.In(lab.Kernel);
        heap.StopsAtUseAfterFree = false;
        var refs = heap.Allocate("desc.refs", 0);
        var load = refs.Load();
        lab.Do([refs.Free(reusedAs: 7), load, refs.Update("+ 1", n => n + 1), refs.Free()]).ShouldBe(MachineStop.Completed);
        load.Value.ShouldBe(7);
        heap.UsesAfterFree.Select(use => use.Access).ShouldBe(["read", "write", "free"]);
        lab.Kernel.Bug.ShouldBeNull();
    }

    [Theory]
    [InlineData(false, MachineStop.Deadlock)]
    [InlineData(true, MachineStop.Completed)]
    public void Locks_taken_in_two_orders_come_to_a_deadlock_and_in_one_order_do_not(bool sameOrder, MachineStop expected)
    {
        // B24: ftrace took text_mutex inside cpus_read_lock(), and the jump labels the other way round.
        using var lab = new AgentMachine();
        var hotplug = KernelLocks.In(lab.Kernel).CpuHotplugLock;
        var text = lab.Kernel.TextMutex;
        IEnumerable<KernelStep> Take(KernelLock first, KernelLock second) => [first.Acquire(), new Delay(50), second.Acquire(), second.Release(), first.Release()];
        lab.Cpu(1).Start("jump_label", sameOrder ? Take(text, hotplug) : Take(hotplug, text));
        lab.Do(Take(text, hotplug)).ShouldBe(expected);
        if (expected == MachineStop.Deadlock) lab.Machine.Waiting().ShouldBe(["CPU0: test, lock cpu_hotplug_lock", "CPU1: jump_label, lock text_mutex"]);
    }

    [Fact]
    public void A_cpu_in_user_mode_gets_a_bit_and_synchronises_when_it_enters_the_kernel()
    {
        using var lab = new AgentMachine(cpus: 3);
        var deferred = DeferredSync.In(lab.Kernel);
        lab.Load(0, a =>
        {
            AgentMachine.Call(a, GuestGate.UserEnter);
            var again = a.CreateLabel();
            a.mov(ebx, 500);
            a.Label(ref again);
            a.dec(ebx);
            a.jnz(again);
            AgentMachine.Call(a, GuestGate.KernelEnter);
            a.inc(__qword_ptr[AgentMachine.Data.Value]);
            var self = a.CreateLabel();
            a.Label(ref self);
            a.jmp(self);
        });
        lab.Load(0x800, a => a.nop());
        lab.StartGuest(1, 0);
        lab.Do([new Delay(100)]);
        deferred.StateOf(new(1)).ShouldBe(new DeferredSync.ContextState(InUser: true, MustSync: false));

        var site = AgentMachine.Code + 0x800;
        lab.Do([new TextPoke(lab.Kernel, site, new byte[] { 0xf8 }), KernelStep.Call(deferred.Run(lab.Cpu(0)))]).ShouldBe(MachineStop.Completed);
        deferred.Deferrals.ShouldBe(1);
        lab.Machine.Accounts.Phases[0].Cpus.ToArray().Select(c => c.IpisTaken).ShouldBe([0, 0, 1], "only the CPU in the kernel is interrupted");
        lab.Machine.OldestVisibleCode(new(1), site, 1).ShouldBe([0x90]);

        lab.Do([new Delay(3_000)]);
        lab.Word(0).ShouldBe(1UL);
        deferred.StateOf(new(1)).ShouldBe(default);
        lab.Machine.OldestVisibleCode(new(1), site, 1).ShouldBe([0xf8]);
    }
}
