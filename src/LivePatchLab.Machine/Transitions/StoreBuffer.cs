namespace LivePatchLab.Machine;

/// <summary>The stores of kernel variables that one CPU has made and the others do not see yet, oldest first.</summary>
internal sealed class StoreBuffer
{
    private readonly List<BufferedStore> _stores = [];

    public bool IsEmpty => _stores.Count == 0;

    public int Count => _stores.Count;

    public void Add(BufferedStore store) => _stores.Add(store);

    public void Clear() => _stores.Clear();

    /// <summary>The youngest store of a variable: what a load of the same CPU sees.</summary>
    public BufferedStore? YoungestOf(object variable)
    {
        for (var i = _stores.Count - 1; i >= 0; i--)
            if (_stores[i].Variable == variable) return _stores[i];
        return null;
    }

    /// <summary>What may leave the buffer next: the oldest store, or under partial store order the oldest of each variable.</summary>
    /// <returns>How many.</returns>
    public int CollectDrains(CpuId cpu, MemoryOrder order, Span<Transition> into)
    {
        if (order == MemoryOrder.TotalStoreOrder)
        {
            into[0] = new(cpu, TransitionKind.Drain);
            return 1;
        }

        var count = 0;
        for (var i = 0; i < _stores.Count; i++)
            if (IsOldestOfItsVariable(i)) into[count++] = new(cpu, TransitionKind.Drain, (int)_stores[i].Thing);
        return count;
    }

    /// <summary>True when the store that such a transition lets out is there; in its buffer, the oldest of a variable is always free to leave.</summary>
    public bool CanDrain(int slot, MemoryOrder order)
        => order == MemoryOrder.TotalStoreOrder ? slot == 0 && !IsEmpty : slot != 0 && IndexOf(slot) >= 0;

    public void Drain(Cpu cpu, int slot)
    {
        var at = IndexOf(slot);
        var store = _stores[at];
        _stores.RemoveAt(at);
        store.Commit(cpu);
    }

    public string Describe(int slot) => _stores[IndexOf(slot)].Describe();

    public void DrainAll(Cpu cpu)
    {
        foreach (var store in _stores) store.Commit(cpu);
        _stores.Clear();
    }

    private int IndexOf(int slot) => slot == 0 ? 0 : _stores.FindIndex(s => (int)s.Thing == slot);

    private bool IsOldestOfItsVariable(int index)
    {
        for (var i = 0; i < index; i++)
            if (_stores[i].Thing == _stores[index].Thing) return false;
        return true;
    }
}

/// <summary>A store on its way from a CPU to the others.</summary>
internal abstract class BufferedStore
{
    public abstract object Variable { get; }

    public abstract uint Thing { get; }

    public abstract void Commit(Cpu cpu);

    public abstract string Describe();
}
