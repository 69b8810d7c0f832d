namespace LivePatchLab.Machine;

/// <summary>
/// Asks whether a register may be used as an address without a comparison, a branch or a flag: bits 20 to 51 of it are the distance from
/// a place in the host's lowest 4 GiB, and a byte there is read. Around that place nothing is mapped but one page on either side, so the host's page
/// tables refuse every canonical address that is not within 2^32 of 0, and <see cref="FaultSignals"/> does the rest. One that is not canonical may
/// pass, and is refused when it is used.
/// </summary>
internal static unsafe class AddressProbe
{
    /// <summary>How far the register is rotated to the right, so that a page is what 2^32 addresses come to.</summary>
    public const byte Rotation = 20;

    // Canonical addresses have 47 bits and a sign.
    private const long Reach = 1L << (47 - Rotation);

    // The middle, or null where the host has no such addresses left.
    private static readonly byte* Middle = TryReserve();

    public static bool IsAvailable => Middle != null;

    /// <summary>The displacement of the access, of which the address is the rotated register's lower half.</summary>
    public static int Address => (int)(nint)Middle;

    private static byte* TryReserve()
    {
        var reserved = HostSystem.TryMap(null, 2 * Reach, HostSystem.ProtNone, HostSystem.MapPrivate | HostSystem.MapAnonymous | HostSystem.MapNoReserve | HostSystem.MapLow, -1);
        if (reserved == null) return null;
        var middle = reserved + Reach;
        HostSystem.Protect(middle - GuestMemory.PageBytes, 2 * GuestMemory.PageBytes, HostSystem.ProtRead);
        return middle;
    }
}
