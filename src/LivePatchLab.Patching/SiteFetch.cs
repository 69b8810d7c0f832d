namespace LivePatchLab.Patching;

/// <summary>What an instruction that was executed at a site is to the site.</summary>
public enum SiteFetch
{
    /// <summary>Neither of the two, nor anything that the protocol puts there: bytes of several versions, or those of an instruction's middle.</summary>
    Torn,

    /// <summary>The instruction that the old code has at this place.</summary>
    Old,

    /// <summary>The instruction that the new code has at this place; the old code may have the same.</summary>
    New,

    /// <summary>INT3 where an instruction of the old or of the new code begins.</summary>
    Int3,

    /// <summary>The protocol's own guard, at the first byte.</summary>
    Guard,
}
