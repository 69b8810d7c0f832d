using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>The question that nearly every access answers with yes: in the window, inside one page, permitted, and no store to code.</summary>
internal static unsafe class PlainAccess
{
    private const int Readable = (int)PagePermissions.Read;
    private const int StoreMask = (int)(PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);
    private const int Storable = (int)(PagePermissions.Read | PagePermissions.Write);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CanLoad(CpuState* cpu, ulong address, int bytes)
        => (ulong)(int)address == address
            && (cpu->PageFlags[(uint)address >> 12] & Readable) != 0
            && (bytes == 1 || ((uint)address & (GuestMemory.PageBytes - 1)) <= GuestMemory.PageBytes - bytes);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool CanStore(CpuState* cpu, ulong address, int bytes)
        => (ulong)(int)address == address
            && (cpu->PageFlags[(uint)address >> 12] & StoreMask) == Storable
            && (bytes == 1 || ((uint)address & (GuestMemory.PageBytes - 1)) <= GuestMemory.PageBytes - bytes);
}
