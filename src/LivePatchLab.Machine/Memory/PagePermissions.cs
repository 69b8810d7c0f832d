namespace LivePatchLab.Machine;

/// <summary>What a guest may do with a page of 4 KiB.</summary>
[Flags]
public enum PagePermissions : byte
{
    None = 0,
    Read = 1,
    Write = 2,
    Execute = 4,
}
