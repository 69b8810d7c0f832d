namespace LivePatchLab.Machine;

/// <summary>
/// Kernel code of the lab calls a function of the guest: an interrupt's handler that runs traced code, say. What the CPU's guest
/// did before is set aside and comes back when the function returns to <see cref="SmpMachine.GuestCallReturn"/>.
/// </summary>
/// <param name="function">The function's first instruction.</param>
public sealed class CallGuest(GuestAddress function) : KernelStep
{
    public GuestAddress Function { get; } = function;

    public override string Describe() => $"call {Function}";

    protected internal override long Execute(Cpu cpu)
    {
        cpu.EnterGuestCall(Function);
        return 0;
    }
}
