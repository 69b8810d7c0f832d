using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>The question that nearly every access answers with yes: in the window, inside one page, permitted, and no store to code.</summary>
internal static unsafe class PlainAccess
{
    private const uint Readable = (uint)PagePermissions.Read;
    private const uint StoreMask = (uint)(PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);
    private const uint Storable = (uint)(PagePermissions.Read | PagePermissions.Write);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CanLoad(CpuState* cpu, ulong address, int bytes)
        => (OutsideWindowOrPage(address, bytes) | (~(uint)cpu->PageFlags[(uint)address >> 12] & Readable)) == 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CanStore(CpuState* cpu, ulong address, int bytes)
        => (OutsideWindowOrPage(address, bytes) | ((cpu->PageFlags[(uint)address >> 12] & StoreMask) ^ Storable)) == 0;

    /// <summary>Not 0 for an address beyond signed 32 bits and for an operand in two pages. All three questions make one branch: handlers stay small.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong OutsideWindowOrPage(ulong address, int bytes)
    {
        var outside = (ulong)(int)address ^ address;
        return bytes == 1 ? outside : outside | (((address & (GuestMemory.PageBytes - 1)) + (ulong)(bytes - 1)) >> 12);
    }
}
