using Xunit.Abstractions;

namespace LivePatchLab.Linux.Tests;

/// <summary>The same functions on the bare processor: what they return and all the memory that they leave must be the machine's, to the last byte.</summary>
public sealed class NativeKernelTests(NativeKernelTests.Native native, ITestOutputHelper output) : IClassFixture<NativeKernelTests.Native>
{
    private static readonly bool IsLong = Environment.GetEnvironmentVariable("LIVEPATCH_LONG") is { Length: > 0 };

    private static readonly int FunctionsTried = IsLong ? 20_000 : 300;

    public static TheoryData<string> Groups => [.. FunctionGroup.All.Where(g => !g.IsPrivileged).Select(g => g.Name)];

    [NativeKernelTheory]
    [MemberData(nameof(Groups))]
    public void A_function_of_a_kernel_does_in_the_machine_what_it_does_on_the_processor(string group)
    {
        foreach (var seed in FunctionSeeds.All)
        {
            output.WriteLine($"seed {seed}");
            native.Both.Kernel.ReleaseBuffers();
            var kernel = new ComparedKernel(native.Both, new Draw(seed));
            FunctionGroup.Named(group).Check(kernel);
            native.Both.RequireEqualImages(group);
            kernel.Instructions.ShouldBeGreaterThan(0);
        }
    }

    /// <summary>Functions that touch nothing but registers may have any arguments, so all of them are tried.</summary>
    [NativeKernelFact]
    public void Every_leaf_function_computes_in_the_machine_what_it_does_on_the_processor()
    {
        var seed = FunctionSeeds.All.Last();
        output.WriteLine($"seed {seed}");
        var draw = new Draw(seed);
        var leaves = LeafFunctions.Find(native.Both.Kernel.Image);
        native.Both.Kernel.ReleaseBuffers();

        // A name that several functions share leads to the first of them only.
        foreach (var name in leaves.Select(leaf => leaf.Name).Distinct())
            for (var i = 0; i < 3; i++)
                native.Both.Call(name, [draw.Interesting(), draw.Interesting(), draw.Interesting(), draw.Interesting(), draw.Interesting(), draw.Interesting()]);
        native.Both.RequireEqualImages("the leaf functions");
    }

    /// <summary>
    /// Functions that were not made for it, with numbers and buffers as they come: they return, or run into the same fault at the same
    /// instruction, and have written the same until then.
    /// </summary>
    [NativeKernelFact]
    public void Any_function_comes_as_far_in_the_machine_as_on_the_processor()
    {
        var seed = IsLong ? FunctionSeeds.All.Last() : FunctionSeeds.All.First();
        output.WriteLine($"seed {seed}");
        var draw = new Draw(seed);
        var kernel = native.Both.Kernel;
        var names = kernel.Image.TextFtraceSites.Where(site => kernel.Image.Symbols.HasSymbolAt(site.Address)).Select(site => kernel.Image.Symbols.NameOf(site.Address)).ToList();
        int tried = 0, returned = 0, faulted = 0;
        for (; tried < FunctionsTried; tried++)
        {
            kernel.ReleaseBuffers();
            KernelArgument[] arguments = [Argument(), Argument(), Argument(), Argument(), Argument(), Argument()];

            // Structures are larger than the buffers, and what lies behind those has to be in both, too.
            kernel.Buffer(512 << 10);
            var result = native.Both.TryCall(names[draw.Below(names.Count)], arguments);
            if (result?.End == CallEnd.Returned) returned++;
            else if (result is not null) faulted++;
        }

        KernelArgument Argument() => draw.Below(4) switch
        {
            0 => kernel.Buffer(1024),
            1 => kernel.Buffer(draw.Bytes(1024)),
            2 => draw.Below(300),
            _ => draw.Interesting(),
        };

        output.WriteLine($"{tried} functions: {returned} returned, {faulted} faulted, the others are not for a process");
        returned.ShouldBeGreaterThan(tried / 20);
        faulted.ShouldBeGreaterThan(tried / 20);
    }

    /// <summary>The controls: another result, a fault, another byte of a buffer, another byte of the kernel's own data.</summary>
    [NativeKernelFact]
    public void A_difference_is_noticed()
    {
        using var both = new NativeKernel(native.Both.Kernel.Image);
        var (memory, kernel) = (both.Kernel.Machine.Memory, both.Kernel);
        var table = kernel.AddressOf("crc32table_le");
        memory.LoadUInt64(table, memory.ReadUInt64(table) ^ 0xff);
        Should.Throw<ShouldAssertException>(() => both.Call("crc32_le", [0u, kernel.Buffer(64), 64])).Message.ShouldContain("crc32_le");
        Should.Throw<ShouldAssertException>(() => both.RequireEqualImages("nothing")).Message.ShouldContain("crc32table_le");

        memory.Load(kernel.AddressOf("gcd"), [0x0f, 0x0b]); // ud2
        Should.Throw<ShouldAssertException>(() => both.Call("gcd", [12, 18])).Message.ShouldContain("the processor says gcd = 0x6, signal 0");

        var buffer = kernel.Buffer(64);
        var memset = kernel.AddressOf("memset_orig");
        memory.Load(memset, [0xb8, 1, 0, 0, 0, 0x88, 0x07, 0x48, 0x89, 0xf8, 0xc3]); // mov eax, 1; mov [rdi], al; mov rax, rdi; ret
        Should.Throw<ShouldAssertException>(() => both.Call("memset_orig", [buffer, 2, 1])).Message.ShouldContain("is 01 in the machine and 02 on the processor");
    }

    /// <summary>A crash on the processor is an answer, here the same as the machine's, and the next call works.</summary>
    [NativeKernelFact]
    public void A_fault_on_the_processor_ends_nothing_but_the_call()
    {
        native.Both.Call("strlen", [0x10]).Fault.ShouldNotBeNull().FaultAddress.Value.ShouldBe(0x10u);
        native.Both.Call("int_sqrt", [144]).Value.ShouldBe(12u);
    }

    public sealed class Native : IDisposable
    {
        private readonly Lazy<NativeKernel> _both = new(() => new(KernelFolder.Open(KernelFolder.Cloud61)));

        internal NativeKernel Both => _both.Value;

        public void Dispose()
        {
            if (_both.IsValueCreated) _both.Value.Dispose();
        }
    }

    private sealed class ComparedKernel(NativeKernel both, Draw draw) : KernelUnderTest(both.Kernel, draw)
    {
        public override ulong Call(string function, params ReadOnlySpan<KernelArgument> arguments)
        {
            var result = both.Call(function, arguments);
            Instructions += result.Instructions;
            return result.Value;
        }
    }
}

[AttributeUsage(AttributeTargets.Method)]
public sealed class NativeKernelTheoryAttribute : TheoryAttribute
{
    public NativeKernelTheoryAttribute() => Skip = NativeKernel.WhyNot;
}

[AttributeUsage(AttributeTargets.Method)]
public sealed class NativeKernelFactAttribute : FactAttribute
{
    public NativeKernelFactAttribute() => Skip = NativeKernel.WhyNot;
}
