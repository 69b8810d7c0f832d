using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// The #BP handler of text_poke_bp() and text_poke_bp_list(), as the seed has it: a single site's trap goes to its handler; a
/// trap of the list goes on behind the instruction, as if that were a nop. It runs with interrupts off, so the IPI of the next
/// run_sync() waits for its IRET: that is what keeps the globals true for as long as it reads them.
/// </summary>
[KernelName("poke_int3_handler", File = "arch/x86/kernel/alternative.c", Version = "v3.12 with the seed's patch 3/8")]
public static class PokeInt3Handler
{
    public static Int3Handler For(BreakpointState state)
    {
        return Handle;

        IEnumerable<KernelStep> Handle(Cpu cpu, TrapFrame regs)
        {
            // Pairs with the write barrier behind the publishing of the globals: having seen the INT3, the handler sees them too.
            yield return Fence.Read;

            var inProgress = state.PatchingInProgress.Load();
            yield return inProgress;
            if (!inProgress.Value) yield break;

            var handler = state.Handler.Load();
            yield return handler;
            if (handler.Value is { } target)
            {
                var address = state.Address.Load();
                yield return address;
                if (regs.Rip == address.Value)
                {
                    regs.Rip = target;
                    regs.Consumed = true;
                    yield break;
                }
            }

            var isHandled = state.IsHandled.Load();
            yield return isHandled;
            if (isHandled.Value is null) yield break;
            yield return new Delay(state.LookupComparisons * cpu.Machine.Costs.LookupStep, "is_handled");
            if (!isHandled.Value(regs.Rip)) yield break;

            var length = state.Length.Load();
            yield return length;
            regs.Rip += length.Value - 1;
            regs.Consumed = true;
        }
    }
}
