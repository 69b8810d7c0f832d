using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// stop_machine(): every CPU leaves what it does, turns its interrupts off, and stays so while a function runs on each. The
/// CPUs go through the states together: the last one to arrive at a state opens the next.
/// </summary>
/// <remarks>
///   initiator                     every other CPU
///   wake the stoppers             stopper thread is switched to
///   PREPARE                       PREPARE
///   DISABLE_IRQ: interrupts off   DISABLE_IRQ: interrupts off
///   RUN: the function             RUN: the function
///   EXIT: interrupts on           EXIT: interrupts on
/// NMIs and machine checks still come in: a function that is not safe against them is not made so by this.
/// </remarks>
[KernelName("stop_machine", File = "kernel/stop_machine.c", Version = "v3.12")]
public sealed class StopMachine : IpiFunction
{
    private enum MultiStopState
    {
        None,
        Prepare,
        DisableIrq,
        Run,
        Exit,
        Gone,
    }

    private readonly LinuxKernel _kernel;
    private readonly Func<bool, IEnumerable<KernelStep>> _function;
    private readonly KernelVariable<MultiStopState> _state = new("multi_stop.state", MultiStopState.Prepare);
    private readonly KernelVariable<int> _acknowledgements;
    private readonly int _threads;

    /// <param name="kernel">The kernel whose machine is stopped.</param>
    /// <param name="function">Run on each CPU with interrupts off; the argument is true on the initiator.</param>
    public StopMachine(LinuxKernel kernel, Func<bool, IEnumerable<KernelStep>> function)
    {
        _kernel = kernel;
        _function = function;
        _threads = kernel.Machine.Cpus.Count(c => c.Activity != CpuActivity.Parked);
        _acknowledgements = new("multi_stop.thread_ack", _threads);
    }

    public override string Name => "multi_cpu_stop";

    public override bool IsIndivisible => false;

    /// <summary>The initiator's steps.</summary>
    public IEnumerable<KernelStep> Run()
    {
        _kernel.SyncRounds++;
        yield return new CallFunction(this, wait: false);
        yield return KernelStep.Call(MultiCpuStop(isInitiator: true));
    }

    public override IEnumerable<KernelStep> Steps(Cpu cpu)
    {
        // The IPI only wakes the CPU's stopper thread, which begins with interrupts on.
        yield return InterruptFlag.On;
        yield return new Delay(cpu.Machine.Costs.StopperWake, "switch to the stopper thread");
        yield return KernelStep.Call(MultiCpuStop(isInitiator: false));
    }

    private IEnumerable<KernelStep> MultiCpuStop(bool isInitiator)
    {
        for (var state = MultiStopState.Prepare; state <= MultiStopState.Exit; state++)
        {
            var awaited = state;
            yield return _state.SpinUntil($"is {awaited}", s => s >= awaited);
            if (state == MultiStopState.DisableIrq) yield return InterruptFlag.Off;
            if (state == MultiStopState.Run)
            {
                yield return KernelStep.Call(_function(isInitiator));
            }

            yield return KernelStep.Call(AcknowledgeState(state));
        }

        yield return InterruptFlag.On;
    }

    private IEnumerable<KernelStep> AcknowledgeState(MultiStopState state)
    {
        var last = false;
        yield return _acknowledgements.Update("- 1", left =>
        {
            last = left == 1;
            return last ? _threads : left - 1;
        });
        if (last) yield return _state.Store(state + 1);
    }
}
