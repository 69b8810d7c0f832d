namespace LivePatchLab.Notebooks;

/// <summary>The lab's own magic commands.</summary>
public static class LabMagics
{
    public static MagicTable Table() => new();
}
