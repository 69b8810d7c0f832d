using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// Where the guest's registers are within a unit. R13 to R15 are in the frame, unless the unit uses one often and leaves a register of the
/// host's alone: then that is its home from the entry to the exits, and the frame keeps what the home held.
/// </summary>
internal sealed class RegisterHomes
{
    // An exchange takes two moves at the entry and two at an exit.
    private const int LeastUses = 4;

    private readonly InstructionInfoFactory _factory = new();
    private readonly int[] _uses = new int[16];
    private readonly (int Register, int Host)[] _homes = new (int, int)[3];

    public int Count { get; private set; }

    /// <summary>The guest's registers that are away from the frame, and the host's that they are in.</summary>
    public ReadOnlySpan<(int Register, int Host)> All => _homes.AsSpan(0, Count);

    public void Clear() => Count = 0;

    public void Assign(ReadOnlySpan<TraceInstruction> trace)
    {
        Count = 0;
        Array.Clear(_uses);
        foreach (ref readonly var entry in trace)
        {
            var seen = 0;
            foreach (var used in _factory.GetInfo(entry.Instruction).GetUsedRegisters())
                if (NativeInstructions.Number(used.Register) is >= 0 and var register) seen |= 1 << register;
            for (var register = 0; register < 16; register++) _uses[register] += (seen >> register) & 1;
        }

        // RCX is what comparisons without flags borrow.
        var host = 12;
        for (var register = 13; register < 16; register++)
        {
            if (_uses[register] < LeastUses) continue;
            while (host >= 0 && (_uses[host] > 0 || host is Gpr.Rcx or Gpr.Rsp)) host--;
            if (host < 0) return;
            _homes[Count++] = (register, host--);
        }
    }

    public bool IsInFrame(int register)
    {
        if (register < 13) return false;
        foreach (var (away, _) in All)
            if (away == register) return false;
        return true;
    }

    /// <summary>The host's register for one that is not in the frame.</summary>
    public int HostOf(int register)
    {
        foreach (var (away, host) in All)
            if (away == register) return host;
        return register == Gpr.Rsp ? NativeEmitter.GuestRsp : register;
    }
}
