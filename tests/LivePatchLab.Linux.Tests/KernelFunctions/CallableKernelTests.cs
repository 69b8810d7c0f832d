using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

/// <summary>Calling functions of a kernel: results, faults as values, several CPUs.</summary>
public sealed class CallableKernelTests(KernelFunctionTests.Kernels kernels) : IClassFixture<KernelFunctionTests.Kernels>
{
    private CallableKernel Kernel => kernels.One;

    [KernelFact]
    public void A_function_is_called_by_its_name()
    {
        var result = Kernel.Call("crc32_le", 0, Kernel.Text("hello"), 5);
        result.End.ShouldBe(CallEnd.Returned);
        ((uint)result.Value).ShouldBe(0xf032519bu);
        result.Instructions.ShouldBeInRange(10, 200);
        result.ToString().ShouldBe($"crc32_le = 0xf032519b (4029829531), {result.Instructions} instructions on CPU0");
        Kernel.Call("gcd", 12, 18).Int32.ShouldBe(6);
    }

    [KernelFact]
    public void A_name_that_the_kernel_does_not_have_is_answered_by_the_nearest()
        => Should.Throw<BadInputException>(() => Kernel.Call("crc32_lee")).Message.ShouldEndWith("has no symbol 'crc32_lee'. Did you mean crc32_le?");

    [KernelFact]
    public void A_fault_is_a_result_that_says_where_and_at_which_instruction()
    {
        var result = Kernel.Call("strlen", 0x123);
        result.End.ShouldBe(CallEnd.Faulted);
        result.Fault.ShouldNotBeNull().Vector.ShouldBe(TrapVector.PageFault);
        result.Fault.FaultAddress.Value.ShouldBe(0x123u);
        result.Trouble.ShouldNotBeNull().ShouldMatch(@"^strlen: CPU0: #PF at \w+, strlen(\+0x\w+)?: [0-9a-f ]+  cmpb \$0,\(%\w+\); kernel read from 123, which is not mapped \(error code 0x0\)$");
        Should.Throw<BadInputException>(() => result.Value).Message.ShouldBe(result.Trouble);

        // It has spoilt nothing.
        Kernel.Call("strlen", Kernel.Text("four")).Value.ShouldBe(4u);
    }

    [KernelFact]
    public void A_call_that_does_not_come_back_is_a_result_too()
    {
        var numbers = Kernel.Buffer(64);

        // hlt; ret as the comparison, then one that calls itself until the stack is full, then a jump to where nothing is.
        Kernel.Call("sort", numbers, 8, 4, Kernel.Code([0xf4, 0xc3]), 0).End.ShouldBe(CallEnd.Halted);
        var overflow = Kernel.Call("sort", numbers, 8, 4, Kernel.Code([0xe8, 0xfb, 0xff, 0xff, 0xff]), 0);
        overflow.Fault.ShouldNotBeNull().Vector.ShouldBe(TrapVector.PageFault);
        overflow.Fault.ErrorCode.ShouldBe(2u, "a write to a page that is not there");
        Kernel.Call("sort", numbers, 8, 4, 0x1000, 0).Trouble.ShouldNotBeNull().ShouldContain("#PF at 1000: nothing is mapped there; kernel instruction fetch from 1000, which is not mapped");

        var few = new CallableKernel(new SmpMachine(new MachineOptions { Cpus = 1 }), Kernel.Image) { StepsMax = 1000 };
        var endless = few.Call("crc32_le", 0, few.Buffer(1 << 16), 1 << 16);
        (endless.End, endless.Instructions).ShouldBe((CallEnd.OutOfSteps, 1000));
        endless.Trouble.ShouldNotBeNull().ShouldContain("crc32_le");
        few.Call("gcd", 12, 18).Value.ShouldBe(6u);
    }

    [KernelFact]
    public void Buffers_do_not_overlap_and_are_zero_when_they_come_again()
    {
        var kernel = new CallableKernel(new SmpMachine(new MachineOptions { Cpus = 1 }), Kernel.Image);
        KernelBuffer[] buffers = [kernel.Buffer(1), kernel.Buffer(64), kernel.Buffer(3 << 20), kernel.Text("text")];
        for (var i = 1; i < buffers.Length; i++) (buffers[i].Address - buffers[i - 1].Address).ShouldBeGreaterThanOrEqualTo(buffers[i - 1].Length);
        buffers[3].ToArray().ShouldBe("text\0"u8.ToArray());
        Should.Throw<ArgumentException>(() => buffers[0].Write([1, 2]));
        buffers[2].Write([7], (3 << 20) - 1);
        kernel.ReleaseBuffers();
        kernel.Buffer(4 << 20).ToArray().ShouldAllBe(b => b == 0);
    }

    [KernelFact]
    public void Cpus_that_push_onto_one_lock_free_list_at_once_lose_nothing()
    {
        const int cpus = 8, rounds = 30;
        using var machine = new SmpMachine(new MachineOptions { Cpus = cpus, QuantumCyclesMax = 4 });
        var kernel = new CallableKernel(machine, Kernel.Image);
        var head = kernel.Buffer(8);
        var pushed = new HashSet<ulong>();
        for (var round = 0; round < rounds; round++)
        {
            KernelBuffer[] nodes = [.. Enumerable.Range(0, cpus).Select(_ => kernel.Buffer(8))];
            foreach (var node in nodes) pushed.Add(node.Address.Value);
            var results = kernel.CallTogether([.. nodes.Select(node => new FunctionCall("llist_add_batch", node, node, head))]);
            results.Count(r => (byte)r.Value != 0).ShouldBe(round == 0 ? 1 : 0, "one of them finds the list empty");
        }

        var found = new HashSet<ulong>();
        for (var node = machine.Memory.ReadUInt64(head.Address); node != 0; node = machine.Memory.ReadUInt64(new(node))) found.Add(node).ShouldBeTrue();
        found.ShouldBe(pushed, ignoreOrder: true);
    }

    [Theory]
    [KernelData(KernelFolder.Cloud510)]
    [KernelData(KernelFolder.Cloud61)]
    [KernelData(KernelFolder.Cloud612)]
    [KernelData(KernelFolder.Cloud7)]
    public void Every_cpu_has_per_cpu_variables_of_its_own_and_they_contend_for_a_spinlock(string pattern)
    {
        const int cpus = 8, rounds = 20;
        using var machine = new SmpMachine(new MachineOptions { Cpus = cpus, QuantumCyclesMax = 4 });

        // A call takes some hundred instructions; one that waits for a lock that is never free is given up soon.
        var kernel = new CallableKernel(machine, KernelFolder.Open(pattern)) { StepsMax = 1_000_000 };

        // struct percpu_counter of include/linux/percpu_counter.h: lock, count at 8, list, counters at 32. Its counters are any per-CPU
        // word that is zero and that nobody needs here. At a batch of 1000 the first call stays with the CPU, the next goes to the count.
        var word = kernel.Image.Symbols["runqueues"].ShouldNotBeNull();
        var counter = kernel.Buffer(64);
        counter.Write(BitConverter.GetBytes(word.Value), 32);
        for (var round = 0; round < rounds; round++)
            foreach (var result in kernel.CallTogether([.. Enumerable.Range(1, cpus).Select(i => new FunctionCall("percpu_counter_add_batch", counter, i * 10, 1_000_000))])) result.End.ShouldBe(CallEnd.Returned, result.Trouble);
        counter.ToArray<ulong>()[1].ShouldBe(0u);
        foreach (var cpu in machine.Cpus) BitConverter.ToInt32(machine.Memory.Read(cpu.GsBase + (long)word.Value, 4)).ShouldBe((cpu.Id.Index + 1) * 10 * rounds, $"{cpu.Id}");

        kernel.CallTogether([.. Enumerable.Range(1, cpus).Select(i => new FunctionCall("percpu_counter_add_batch", counter, 1, 1))]).ShouldAllBe(r => r.End == CallEnd.Returned);
        counter.ToArray<ulong>()[1].ShouldBe((ulong)((36 * 10 * rounds) + cpus));
    }

    [Theory]
    [InlineData(MiniKernel.Layout.To63)]
    [InlineData(MiniKernel.Layout.From64)]
    [InlineData(MiniKernel.Layout.From615)]
    [InlineData(MiniKernel.Layout.From70)]
    internal void Every_cpu_is_told_its_number_and_its_place_wherever_the_kernel_keeps_them(MiniKernel.Layout layout)
    {
        var image = KernelImage.Parse(MiniKernel.Build(layout), "mini");
        using var machine = new SmpMachine(new MachineOptions { Cpus = 3 });
        var kernel = new CallableKernel(machine, image);
        var number = new FunctionCall("number_of_this_cpu");
        kernel.CallTogether([number, number, number]).Select(r => r.Value).ShouldBe([0ul, 1, 2]);
        var offset = new FunctionCall("offset_of_this_cpu");
        var offsets = kernel.CallTogether([offset, offset, offset]).Select(r => r.Value).ToList();
        offsets.Skip(1).ShouldBe(machine.Cpus.Skip(1).Select(cpu => cpu.GsBase.Value));
        for (var cpu = 1; cpu < 3; cpu++)
        {
            machine.Memory.ReadUInt64(image.Symbols["__per_cpu_offset"].ShouldNotBeNull() + (8 * cpu)).ShouldBe(offsets[cpu]);
            machine.Memory.Read(new GuestAddress(offsets[cpu]) + (long)image.PerCpu!.Linked.Value, 4).ShouldBe([1, 2, 3, 4]);
        }
    }

    [Fact]
    public void A_kernel_that_does_not_say_where_its_cpus_keep_their_numbers_has_one_cpu()
    {
        var image = KernelImage.Parse(MiniKernel.Build(MiniKernel.Layout.From615, withCpuNumber: false), "mini");
        using var one = new SmpMachine(new MachineOptions { Cpus = 1 });
        new CallableKernel(one, image).AddressOf("linux_banner").Value.ShouldBe(MiniKernel.DataBase);
        using var two = new SmpMachine(new MachineOptions { Cpus = 2 });
        Should.Throw<BadInputException>(() => new CallableKernel(two, image)).Message
            .ShouldBe("6.1.0-mini has neither cpu_number nor pcpu_hot, so its CPUs cannot be told their numbers; take a machine of one CPU");
    }

    [KernelFact]
    public void A_cpu_that_faults_does_not_keep_the_others_from_returning()
    {
        using var machine = new SmpMachine(new MachineOptions { Cpus = 3 });
        var kernel = new CallableKernel(machine, Kernel.Image);
        var results = kernel.CallTogether([new("int_sqrt", 144), new("strlen", 0), new("int_pow", 2, 40)]);
        results.Select(r => r.End).ShouldBe([CallEnd.Returned, CallEnd.Faulted, CallEnd.Returned]);
        (results[0].Value, results[2].Value).ShouldBe((12u, 1UL << 40));
        results[1].Trouble.ShouldNotBeNull().ShouldStartWith("strlen: CPU1: #PF");
        Should.Throw<BadInputException>(() => kernel.CallTogether([new("gcd"), new("gcd"), new("gcd"), new("gcd")])).Message.ShouldContain("the machine has 3");
    }
}
