namespace LivePatchLab.Patching;

/// <summary>The phases of the protocols that poke an array of locations at a time; a control leaves the sync of one of them out.</summary>
public static class TextPokePhase
{
    /// <summary>Locations are collected.</summary>
    public const string Queueing = "queueing";

    /// <summary>The first step.</summary>
    public const string Int3 = "int3";

    /// <summary>The second step.</summary>
    public const string Tails = "all but the first bytes";

    /// <summary>The third step.</summary>
    public const string FirstBytes = "first bytes";

    /// <summary>The array is taken away from the handlers.</summary>
    public const string Clearing = "clearing";
}
