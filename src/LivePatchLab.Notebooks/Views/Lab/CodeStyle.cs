namespace LivePatchLab.Notebooks;

/// <summary>How addresses, bytes and instructions look in the lab's tables: shades that show on light and dark pages, beside a sign or a word that says the same.</summary>
internal static class CodeStyle
{
    public const string Cell = "font-family:ui-monospace,monospace;white-space:pre;font-size:0.85em;text-align:left;padding:0.1rem 0.6rem";

    /// <summary>What comes next, what has changed.</summary>
    public const string Current = ";font-weight:bold;background:rgba(0,158,115,0.22)";

    /// <summary>A patch site.</summary>
    public const string Site = ";background:rgba(0,114,178,0.16)";

    /// <summary>INT3 stands there.</summary>
    public const string Int3 = ";font-weight:bold;background:rgba(230,159,0,0.3)";
}
