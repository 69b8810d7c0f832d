using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// P1 as it was first merged (commit 08d636b6d4fb): modifying_ftrace_code is a plain int. Made atomic before 3.5 was out, because nothing
/// kept the store of the flag in front of the stores of the INT3s. A control for the search: bug B01.
/// </summary>
/// <remarks>
///   patcher                                   any other CPU
///   modifying_ftrace_code = 1: in the store buffer
///   [0] = int3
///                                             traps; modifying_ftrace_code is still 0: nobody's INT3
///   modifying_ftrace_code: in memory
/// </remarks>
[KernelName("ftrace_replace_code", File = "arch/x86/kernel/ftrace.c", Version = "before v3.5, commit 08d636b6d4fb")]
public sealed class Ftrace2012PlainFlag : IPatchProtocol
{
    public string Name => "ftrace_2012_plain_flag";

    public string Summary => "P1 as first merged: the counter that its handler asks is a plain int, with no barrier behind it";

    public bool MaySkip => true;

    public Invariants PromisesUnder(FetchModel model) => new Ftrace2012().PromisesUnder(model);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(new(kernel));

    private sealed class Patcher(FtraceModification ftrace) : IPatcher
    {
        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            ftrace.Know(sites);
            var before = ftrace.ModifyingFtraceCode.Load();
            yield return before;
            yield return ftrace.ModifyingFtraceCode.Store(before.Value + 1);
            yield return KernelStep.Call(Ftrace2012.ReplaceCode(kernel, sites));
            var after = ftrace.ModifyingFtraceCode.Load();
            yield return after;
            yield return ftrace.ModifyingFtraceCode.Store(after.Value - 1);
        }
    }
}
