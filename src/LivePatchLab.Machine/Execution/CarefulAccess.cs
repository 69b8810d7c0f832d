using System.Runtime.CompilerServices;

namespace LivePatchLab.Machine;

/// <summary>
/// Accesses that are not plain. Permission is asked byte page by byte page; what is read is copied in at once, what is written
/// goes to a bounce buffer first and reaches memory only when the whole instruction has succeeded, so a fault leaves no trace.
/// </summary>
internal static unsafe class CarefulAccess
{
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool OpenForRead(CpuState* cpu, ulong address, int bytes, bool stack)
    {
        if (!Permits(cpu, address, bytes, PagePermissions.Read, stack)) return false;
        CopyIn(cpu, address, bytes, (byte*)cpu->LoadBounce);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static bool OpenForWrite(CpuState* cpu, ulong address, int bytes, bool stack)
    {
        if (!Permits(cpu, address, bytes, PagePermissions.Write, stack)) return false;
        CopyIn(cpu, address, bytes, (byte*)cpu->StoreBounce);
        cpu->StoreAddress = address;
        cpu->StoreBytes = bytes;
        return true;
    }

    /// <summary>Writes what the instruction left in the bounce buffer; true when it went to an executable page.</summary>
    public static bool Commit(CpuState* cpu, ICodeSource code)
    {
        var bytes = new ReadOnlySpan<byte>((byte*)cpu->StoreBounce, cpu->StoreBytes);
        cpu->StoreBytes = 0;
        return Store(cpu, code, cpu->StoreAddress, bytes);
    }

    /// <summary>Stores bytes that have been permitted; true when some of them are on an executable page.</summary>
    public static bool Store(CpuState* cpu, ICodeSource code, ulong address, ReadOnlySpan<byte> bytes)
    {
        var isCode = false;
        while (!bytes.IsEmpty)
        {
            var here = Math.Min(bytes.Length, GuestMemory.PageBytes - (int)(address & (GuestMemory.PageBytes - 1)));
            if ((cpu->PageFlags[(uint)address >> 12] & (byte)PagePermissions.Execute) != 0)
            {
                code.StoreByGuest(new CpuId(cpu->CpuIndex), new GuestAddress(address), bytes[..here], cpu->RunLength - cpu->BudgetBeyond);
                isCode = true;
            }
            else
            {
                bytes[..here].CopyTo(new Span<byte>(cpu->Memory + (long)address, here));
            }

            address += (ulong)here;
            bytes = bytes[here..];
        }

        return isCode;
    }

    /// <summary>False, with the trap recorded, where some byte may not be accessed.</summary>
    public static bool Permits(CpuState* cpu, ulong address, int bytes, PagePermissions access, bool stack)
    {
        var last = address + (ulong)(bytes - 1);
        if (!IsCanonical(address) || !IsCanonical(last))
        {
            // A non-canonical address is #GP(0), or #SS(0) when the stack segment is the one addressed (SDM vol. 3, 6.15).
            Traps.Record(cpu, stack ? Traps.StackFault : Traps.GeneralProtection);
            return false;
        }

        if (!PermitsByte(cpu, address, access)) return false;
        return (address >> 12) == (last >> 12) || PermitsByte(cpu, last & ~(ulong)(GuestMemory.PageBytes - 1), access);
    }

    public static bool IsCanonical(ulong address) => (ulong)((long)(address << 16) >> 16) == address;

    private static bool PermitsByte(CpuState* cpu, ulong address, PagePermissions access)
    {
        var flags = (ulong)(int)address == address ? cpu->PageFlags[(uint)address >> 12] : (byte)0;

        // As in a page table, what may be written may be read.
        var permitted = access == PagePermissions.Write ? PagePermissions.Write : PagePermissions.Read | PagePermissions.Write;
        if ((flags & (byte)permitted) != 0) return true;
        Traps.RecordPageFault(cpu, address, flags, access == PagePermissions.Write ? Traps.PageFaultWrite : 0);
        return false;
    }

    private static void CopyIn(CpuState* cpu, ulong address, int bytes, byte* destination)
    {
        // Byte by byte through the 32-bit address: the window's last page has no host page behind it.
        for (var i = 0; i < bytes; i++) destination[i] = cpu->Memory[(int)(address + (ulong)i)];
    }
}
