using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>The steps of a protocol of one's own: what is written in a notebook's cell.</summary>
/// <param name="kernel">The steps it can take.</param>
/// <param name="sites">What it shall replace.</param>
public delegate IEnumerable<KernelStep> PatchSteps(PatchContext kernel, IReadOnlyList<PatchSite> sites);

/// <summary>A protocol made of an iterator. It promises what every protocol should: no trap that nobody consumes, nothing torn, nothing old afterwards, no deadlock.</summary>
/// <param name="name">For tables and messages.</param>
/// <param name="steps">Its steps, for one operation.</param>
/// <param name="handler">Its handler of #BP, or null where it has none. <see cref="BreakpointState"/> has the kernel's.</param>
public sealed class IteratorProtocol(string name, PatchSteps steps, Int3Handler? handler = null) : IPatchProtocol, IPatcher
{
    public string Name => name;

    public string Summary => "a protocol of one's own";

    public bool MaySkip { get; init; } = true;

    /// <summary>What it promises under every fetch model.</summary>
    public Invariants Promises { get; init; } = Invariants.TrapsAreConsumed | Invariants.NothingTorn | Invariants.NewAfterReturn | Invariants.WaitsWithInterruptsOn;

    public Invariants PromisesUnder(FetchModel model) => Promises;

    public IPatcher Attach(LinuxKernel kernel)
    {
        if (handler is not null) kernel.RegisterInt3Handler(handler);
        return this;
    }

    public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        => steps(kernel, sites) ?? throw new BadInputException($"{name} gave no steps: a protocol is an iterator that yields them");
}
