using System.Numerics;

namespace LivePatchLab.Patching;

/// <summary>A list of sites as a client of text_poke_bp_list(): the callbacks that ftrace's conversion to it would have given.</summary>
public static class PatchSiteList
{
    /// <param name="sites">In ascending order of their addresses, all of one length.</param>
    /// <exception cref="ArgumentException">They are not.</exception>
    public static TextPokeBpIter<LinkedListNode<PatchSite>> Iterate(IReadOnlyList<PatchSite> sites)
    {
        var addresses = new ulong[sites.Count];
        var list = new LinkedList<PatchSite>();
        for (var i = 0; i < sites.Count; i++)
        {
            var site = sites[i];
            addresses[i] = site.Address.Value;
            list.AddLast(site);
            if (i > 0 && addresses[i] <= addresses[i - 1])
                throw new ArgumentException($"the sites must ascend: {site.Address} follows {sites[i - 1].Address}", nameof(sites));
            if (site.Length != sites[0].Length)
                throw new ArgumentException($"the sites of a list have one length: {site.Address} has {site.Length} bytes, {sites[0].Address} has {sites[0].Length}", nameof(sites));
        }

        return new()
        {
            Init = list.First,
            Len = sites.Count > 0 ? sites[0].Length : 0,
            Start = first => first,
            Next = node => node.Next,
            GetAddr = node => node.Value.Address,
            GetOpcode = node => node.Value.IsFinished ? null : node.Value.NewCode,
            GetOldOpcode = node => node.Value.IsFinished || node.Value.NewCode is null ? null : node.Value.OldCode,
            Finish = node =>
            {
                node.Value.IsFinished = true;
                return 0;
            },

            // The handler passes regs.ip, which lies one byte behind the site.
            IsHandled = ip => Array.BinarySearch(addresses, ip.Value - 1) >= 0,
            IsHandledComparisons = sites.Count < 2 ? 1 : BitOperations.Log2((uint)sites.Count - 1) + 1,
        };
    }
}
