using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>
/// Bug B08: text_poke_bp() of fd4363fff3d9 has its #BP handler on the die notifier's chain, and puts it there in an initcall. Jump labels are patched
/// before that. Since 17f41571bb2c do_int3() calls the handler itself.
/// </summary>
/// <remarks>
///   boot                                    any other CPU
///   jump_label_init: int3; sync
///                                           traps; notify_die(DIE_INT3) finds an empty chain
///   ... arch_initcall: die_chain = poke_int3_handler
/// </remarks>
internal sealed class LateNotifier(IPatchProtocol protocol) : IPatchProtocol
{
    public string Name => $"{protocol.Name} before its handler is on the die notifier's chain";

    public string Summary => $"{protocol.Summary}; its handler is registered when the kernel's initcalls run";

    public bool MaySkip => protocol.MaySkip;

    public Invariants PromisesUnder(FetchModel model) => protocol.PromisesUnder(model);

    public IPatcher Attach(LinuxKernel kernel)
    {
        var patcher = protocol.Attach(kernel);
        var boot = new Boot(patcher, PokeInt3Handler.For(BreakpointState.In(kernel)));
        kernel.Machine.SetTrapHandler(TrapVector.Breakpoint, boot.DoInt3);
        return boot;
    }

    private sealed class Boot(IPatcher patcher, Int3Handler handler) : IPatcher
    {
        private readonly KernelVariable<Int3Handler?> _dieChain = new("die_chain", null);

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            yield return KernelStep.Call(patcher.Apply(kernel, sites));
            yield return _dieChain.Store(handler);
        }

        public IEnumerable<KernelStep> DoInt3(Cpu cpu, TrapFrame regs)
        {
            var chain = _dieChain.Load();
            yield return chain;
            if (chain.Value is { } registered) yield return KernelStep.Call(registered(cpu, regs));
        }
    }
}
