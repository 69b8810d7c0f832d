using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>A function of a kernel and the arguments to call it with; of those the first six go into registers, the others on the stack.</summary>
/// <param name="Function">Its symbol.</param>
/// <param name="Arguments">Integers and pointers.</param>
public sealed record FunctionCall(string Function, params IReadOnlyList<KernelArgument> Arguments);

/// <summary>How a call ended.</summary>
public enum CallEnd
{
    Returned,

    /// <summary>It raised an exception that nobody consumed.</summary>
    Faulted,

    /// <summary>It executed HLT and no interrupt is under way.</summary>
    Halted,

    /// <summary>It was still at it when its instructions were used up.</summary>
    OutOfSteps,
}

/// <summary>What became of a call.</summary>
/// <param name="Function">The function that was called.</param>
/// <param name="Cpu">Where it ran.</param>
/// <param name="End">How it ended.</param>
/// <param name="Rax">RAX at the end, whatever that was.</param>
/// <param name="Instructions">How many instructions it retired.</param>
/// <param name="Fault">The exception, where there was one.</param>
/// <param name="Trouble">One line that says where and why it did not return; null where it did.</param>
public sealed record CallResult(string Function, CpuId Cpu, CallEnd End, ulong Rax, long Instructions, GuestFault? Fault, string? Trouble)
{
    /// <summary>The 64-bit result; a function that returns less leaves the upper bits undefined.</summary>
    /// <exception cref="BadInputException">It did not return.</exception>
    public ulong Value => Trouble is null ? Rax : throw new BadInputException(Trouble);

    /// <summary>The result of a function that returns int.</summary>
    /// <exception cref="BadInputException">It did not return.</exception>
    public int Int32 => (int)Value;

    public override string ToString() => Trouble ?? $"{Function} = 0x{Rax:x} ({(long)Rax}), {Instructions} instructions on {Cpu}";
}
