using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>A way to change instructions that CPUs may be executing.</summary>
public interface IPatchProtocol
{
    /// <summary>The name by which scripts and cells know it: the kernel's, in lower case.</summary>
    string Name { get; }

    /// <summary>What it is, in one line.</summary>
    string Summary { get; }

    /// <summary>True when a CPU that calls the old or the new instruction in the middle of patching may find it skipped, as if it were a nop.</summary>
    bool MaySkip { get; }

    /// <summary>What it promises under a fetch model; what is not promised is not checked when it is explored.</summary>
    Invariants PromisesUnder(FetchModel model);

    /// <summary>Makes a protocol's state for one kernel: its global variables, and its #BP handler.</summary>
    IPatcher Attach(Linux.LinuxKernel kernel);
}

/// <summary>A protocol in one kernel, with the state that its operations share.</summary>
public interface IPatcher
{
    /// <summary>Replaces the code of the sites. The caller holds text_mutex.</summary>
    IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites);
}
