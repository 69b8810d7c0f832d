using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>The account of a run, by phase and CPU. A phase that is entered again goes on where it left off.</summary>
public sealed class PhaseAccounts
{
    private readonly int _cpus;
    private readonly List<PhaseAccount> _phases = [];

    /// <summary>Accounts of before that nobody holds.</summary>
    private readonly List<PhaseAccount> _spare = [];
    private PhaseAccount _current;
    private long _enteredClockCycles;

    internal PhaseAccounts(int cpus)
    {
        _cpus = cpus;
        _current = new("", cpus);
        _phases.Add(_current);
    }

    /// <summary>The phases in the order of their first entering; the first, without a name, is what lies outside all others.</summary>
    public IReadOnlyList<PhaseAccount> Phases => _phases;

    /// <summary>The phase that is on now; empty outside all phases.</summary>
    public string Current => _current.Name;

    internal CpuAccount[] Running { get; private set; } = [];

    internal void Enter(string phase, long clockCycles)
    {
        _current.DurationCycles += clockCycles - _enteredClockCycles;
        _enteredClockCycles = clockCycles;
        if (!ReferenceEquals(_current.Name, phase)) _current = Find(phase) ?? Add(phase);
        Running = _current.Cpus;
    }

    /// <summary>Begins a new account; what was handed out of the last one stays as it is.</summary>
    public void Restart(long clockCycles)
    {
        _spare.Clear();
        Begin(clockCycles);
    }

    /// <summary>The same, into the objects of the last account: for a machine that is brought back to its start a million times.</summary>
    internal void Recycle(long clockCycles)
    {
        // The first at the end, where it is taken from: the next run mostly enters the same phases in the same order.
        for (var i = _phases.Count - 1; i >= 0; i--) _spare.Add(_phases[i]);
        Begin(clockCycles);
    }

    private void Begin(long clockCycles)
    {
        _phases.Clear();
        _current = Add("");
        _enteredClockCycles = clockCycles;
        Running = _current.Cpus;
    }

    private PhaseAccount? Find(string phase)
    {
        // A protocol that goes from phase to phase at every site names them by the same few strings.
        foreach (var account in CollectionsMarshal.AsSpan(_phases))
            if (ReferenceEquals(account.Name, phase)) return account;
        foreach (var account in _phases)
            if (account.Name == phase) return account;
        return null;
    }

    private PhaseAccount? SpareOf(string phase)
    {
        for (var i = _spare.Count - 1; i >= 0; i--)
        {
            var account = _spare[i];
            if (account.Name != phase) continue;
            _spare.RemoveAt(i);
            account.Clear();
            return account;
        }

        return null;
    }

    private PhaseAccount Add(string phase)
    {
        var account = SpareOf(phase) ?? new PhaseAccount(phase, _cpus);
        _phases.Add(account);
        return account;
    }
}

/// <summary>What happened during one phase of a run.</summary>
public sealed class PhaseAccount
{
    internal PhaseAccount(string name, int cpus)
    {
        Name = name;
        Cpus = new CpuAccount[cpus];
    }

    public string Name { get; }

    /// <summary>How long the phase was on, by the clock of the CPU that entered and left it.</summary>
    public long DurationCycles { get; internal set; }

    /// <summary>One account a CPU.</summary>
    public CpuAccount[] Cpus { get; }

    internal void Clear()
    {
        DurationCycles = 0;
        Array.Clear(Cpus);
    }

    public CpuAccount Total()
    {
        var total = default(CpuAccount);
        foreach (ref readonly var cpu in Cpus.AsSpan()) total.Add(cpu);
        return total;
    }
}
