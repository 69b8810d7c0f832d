namespace LivePatchLab.Machine;

/// <summary>Which exceptions a CPU is in the middle of.</summary>
public sealed unsafe partial class Cpu
{
    /// <summary>
    /// The exception whose handler runs now, or has called the guest code that runs now; null in the handler of an interrupt, in a task, and where no
    /// kernel code runs at all.
    /// </summary>
    public TrapVector? HandledException
    {
        get
        {
            for (var i = _routines.Count - 1; i >= 0; i--)
            {
                if (_routines[i].Kind == RoutineKind.GuestCall) continue;
                return _routines[i].Frame?.Vector;
            }

            return null;
        }
    }

    /// <summary>True while an exception of a kind is being handled here, whatever has come in since.</summary>
    public bool IsHandling(TrapVector vector)
    {
        foreach (var routine in _routines)
            if (routine.Frame?.Vector == vector) return true;
        return false;
    }
}
