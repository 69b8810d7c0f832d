namespace LivePatchLab.Machine;

/// <summary>Whether anything may see the flags that an operation sets before they are set again.</summary>
internal interface IFlagUse
{
    static abstract bool Wanted { get; }
}

internal readonly struct FlagsWanted : IFlagUse
{
    public static bool Wanted => true;
}

internal readonly struct FlagsUnseen : IFlagUse
{
    public static bool Wanted => false;
}
