using LivePatchLab.Machine;
using Xunit.Abstractions;

namespace LivePatchLab.Linux.Tests;

/// <summary>Functions of a real Debian kernel, called in the machine with arguments of the tests' own, against answers that are known otherwise.</summary>
public sealed class KernelFunctionTests(KernelFunctionTests.Kernels kernels, ITestOutputHelper output) : IClassFixture<KernelFunctionTests.Kernels>
{
    public static TheoryData<string> Groups => FunctionGroup.Names;

    [KernelTheory]
    [MemberData(nameof(Groups))]
    public void A_function_of_a_kernel_answers_what_is_known_otherwise(string group)
    {
        foreach (var seed in FunctionSeeds.All)
        {
            output.WriteLine($"seed {seed}");
            kernels.One.ReleaseBuffers();
            var kernel = new KernelUnderTest(kernels.One, new Draw(seed));
            FunctionGroup.Named(group).Check(kernel);
            output.WriteLine($"{kernel.Instructions} instructions");
            kernel.Instructions.ShouldBeGreaterThan(0);
        }
    }

    /// <summary>
    /// Of every version those that have stayed what they are. kallsyms_lookup_name and %pS read the tables that the lab has read, each
    /// version by its own code.
    /// </summary>
    [Theory]
    [KernelData(KernelFolder.Cloud510)]
    [KernelData(KernelFolder.Cloud612)]
    [KernelData(KernelFolder.Cloud7)]
    public void Functions_of_other_versions_answer_what_is_known_otherwise(string pattern)
    {
        using var machine = new SmpMachine(new MachineOptions { Cpus = 1 });
        var kernel = new CallableKernel(machine, KernelFolder.Open(pattern));
        foreach (var seed in FunctionSeeds.All)
        {
            output.WriteLine($"seed {seed}");
            foreach (var group in (string[])["crc32_le", "sort", "kallsyms_lookup_name", "snprintf %pS %pI4 %pUb %*ph", "insn_decode", "the BPF interpreter", "text_poke_early"])
            {
                kernel.ReleaseBuffers();
                FunctionGroup.Named(group).Check(new(kernel, new Draw(seed)));
            }
        }
    }

    /// <summary>The control: a bit of a table of the kernel's is wrong, and the answers that depend on it are.</summary>
    [KernelFact]
    public void A_wrong_bit_in_the_kernel_is_noticed()
    {
        using var machine = new SmpMachine(new MachineOptions { Cpus = 1 });
        var kernel = new CallableKernel(machine, kernels.Image);
        var table = kernel.AddressOf("crc32table_le");
        machine.Memory.LoadUInt64(table + 512, machine.Memory.ReadUInt64(table + 512) ^ 0x10);
        Should.Throw<ShouldAssertException>(() => FunctionGroup.Named("crc32_le").Check(new(kernel, new Draw(1))));
        FunctionGroup.Named("crc32_be").Check(new(kernel, new Draw(1)));
    }

    public sealed class Kernels
    {
        private readonly Lazy<CallableKernel> _one = new(() => CallableKernel.Open(KernelFolder.Find(KernelFolder.Cloud61)!));

        internal CallableKernel One => _one.Value;

        internal KernelImage Image => One.Image;
    }
}

internal static class FunctionSeeds
{
    /// <summary>Two that are always the same, and a fresh one; the test's output has it.</summary>
    public static IEnumerable<ulong> All => [1, 2, (ulong)Random.Shared.NextInt64()];
}
