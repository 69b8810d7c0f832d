using LivePatchLab.Linux;

namespace LivePatchLab.Experiments;

/// <summary>What the CPUs do while one of them patches.</summary>
public enum Workload
{
    /// <summary>They idle, halted: each IPI wakes them.</summary>
    Idle,

    /// <summary>They call one traced function after the other, straight through the sites.</summary>
    Running,

    /// <summary>They work, with interrupts off now and then, as the cost preset says.</summary>
    Loaded,
}

public static class Workloads
{
    /// <summary>The workload of a name.</summary>
    /// <exception cref="BadInputException">There is none; the message names the nearest.</exception>
    public static Workload Named(string name)
        => Suggestion.Find(Enum.GetValues<Workload>(), w => NameOf(w), name, "workload");

    public static string NameOf(Workload workload) => workload.ToString().ToLowerInvariant();
}
