using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// The handler looks for a trap's address among the locations that are being patched: by binary search, and directly where there is one. The search
/// trusts the array: where it does not ascend, a location that is there may not be found; where the count is wrong, it reads what lies behind.
/// </summary>
/// <param name="vec">The array.</param>
/// <param name="entries">How many entries the handler was told that it has.</param>
/// <param name="ip">The address of the INT3.</param>
[KernelName("__inline_bsearch", File = "include/linux/bsearch.h", Version = "v5.8")]
public sealed class Int3Lookup(IReadOnlyList<TextPokeLoc> vec, int entries, GuestAddress ip) : KernelStep
{
    /// <summary>The entries of an array that is changed while handlers may search it, for those who order transitions.</summary>
    internal static uint EntriesThing { get; } = AccessLog.ThingNamed("text_poke_array.vec");

    public IReadOnlyList<TextPokeLoc> Vec { get; } = vec;

    public int Entries { get; } = entries;

    public GuestAddress Ip { get; } = ip;

    /// <summary>The location, or null; set once the step is done.</summary>
    public TextPokeLoc? Found { get; private set; }

    /// <summary>The index that the search has read and the array does not have; null where it stayed within. Set once the step is done.</summary>
    public int? OutOfBounds { get; private set; }

    /// <summary>True when the entries are there, and ascend.</summary>
    public bool IsSorted
    {
        get
        {
            if (Entries > Vec.Count) return false;
            for (var i = 1; i < Entries; i++)
                if (Vec[i].Address <= Vec[i - 1].Address) return false;
            return true;
        }
    }

    public override string Describe() => Entries > 1 ? $"bsearch {Ip} in {Entries}" : $"is it {Ip}?";

    protected override long Execute(Cpu cpu)
    {
        cpu.Machine.Accesses?.Read(EntriesThing);
        var comparisons = 0;
        var first = 0;
        for (var left = Math.Max(1, Entries); left > 0; left >>= 1)
        {
            var pivot = first + (left >> 1);
            if (pivot >= Vec.Count)
            {
                OutOfBounds = pivot;
                break;
            }

            comparisons++;
            var at = Vec[pivot].Address;
            if (at == Ip)
            {
                Found = Vec[pivot];
                break;
            }

            if (at > Ip) continue;
            first = pivot + 1;
            left--;
        }

        return comparisons * cpu.Machine.Costs.LookupStep;
    }
}
