namespace LivePatchLab.Linux.Tests;

/// <summary>How much of a kernel the machine can execute, and that docs/coverage.md says so.</summary>
public sealed class InstructionCoverageTests
{
    /// <summary>Set to write docs/coverage.md anew instead of comparing it.</summary>
    private const string WriteVariable = "LIVEPATCH_WRITE_COVERAGE";

    private static readonly string Document = Path.Combine(LabFolder.Root, "docs", "coverage.md");

    [KernelFact]
    public void Almost_every_instruction_of_a_kernel_is_implemented()
        => new InstructionCoverage(KernelFolder.Open(KernelFolder.Cloud61)).Share.ShouldBeGreaterThan(0.9998);

    [KernelFact(KernelFolder.ExactCloud61)]
    public void The_coverage_document_is_that_of_its_kernel()
    {
        var measured = new InstructionCoverage(KernelFolder.Open(KernelFolder.ExactCloud61)).Markdown();
        if (Environment.GetEnvironmentVariable(WriteVariable) is { Length: > 0 }) File.WriteAllText(Document, measured);
        File.ReadAllText(Document).ShouldBe(measured, $"set {WriteVariable}=1 to write it anew");
    }
}
