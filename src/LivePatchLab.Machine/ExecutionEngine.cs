namespace LivePatchLab.Machine;

/// <summary>How guest code is executed. The outcome is the same bit for bit; only the host's time differs.</summary>
public enum ExecutionEngine
{
    /// <summary>Code that is hot runs native where the host can do so, all else is interpreted.</summary>
    Auto,

    /// <summary>All code is interpreted: on any host.</summary>
    Interpreter,

    /// <summary>All code that can be is translated at its first execution; what cannot is interpreted. For x86-64 hosts.</summary>
    Translator,
}
