using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>Lays an image's segments into a machine's memory.</summary>
internal static class SegmentLoading
{
    /// <summary>Maps every segment and copies its bytes. A page that two segments share gets the permissions of both, as no page can have two.</summary>
    public static void Load(GuestMemory memory, IEnumerable<ElfSegment> segments)
    {
        foreach (var segment in segments)
        {
            var first = segment.Address.AlignDown(GuestMemory.PageBytes);
            var last = (segment.End - 1).AlignDown(GuestMemory.PageBytes);
            var firstHad = memory.PermissionsAt(first) ?? PagePermissions.None;
            var lastHad = memory.PermissionsAt(last) ?? PagePermissions.None;
            memory.Map(segment.Address, segment.Length, segment.Permissions);
            if ((firstHad & ~segment.Permissions) != 0) memory.Map(first, GuestMemory.PageBytes, firstHad | segment.Permissions);
            if ((lastHad & ~segment.Permissions) != 0) memory.Map(last, GuestMemory.PageBytes, lastHad | segment.Permissions);
            memory.Load(segment.Address, segment.Content.Span);
        }
    }
}
