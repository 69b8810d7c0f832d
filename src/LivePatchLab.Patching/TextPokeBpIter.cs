using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>How a client of text_poke_bp_list() hands over its list: an iterator and callbacks, so that no array need exist.</summary>
/// <typeparam name="T">The client's own entry.</typeparam>
[KernelName("text_poke_bp_iter", File = "arch/x86/include/asm/alternative.h", Version = "the seed's patch 3/8")]
public sealed class TextPokeBpIter<T>
    where T : class
{
    /// <summary>Handed to <see cref="Start"/>, each time that the list is gone through from its beginning.</summary>
    public T? Init { get; init; }

    /// <summary>The length of every instruction of the list.</summary>
    public required int Len { get; init; }

    /// <summary>The first entry, or null when there is none.</summary>
    public required Func<T?, T?> Start { get; init; }

    /// <summary>The entry behind another, or null at the end.</summary>
    public required Func<T, T?> Next { get; init; }

    public required Func<T, GuestAddress> GetAddr { get; init; }

    /// <summary>The new code, or null where none is needed.</summary>
    public required Func<T, byte[]?> GetOpcode { get; init; }

    /// <summary>The code that must be there now, or null where nothing is to be done.</summary>
    public required Func<T, byte[]?> GetOldOpcode { get; init; }

    /// <summary>Told once an entry is in its final state, also where nothing had to be written; 0 or a negative error number. May be null.</summary>
    public Func<T, int>? Finish { get; init; }

    /// <summary>Whether an address behind an INT3 belongs to this list. Runs inside the #BP handler.</summary>
    public required Func<GuestAddress, bool> IsHandled { get; init; }

    /// <summary>How many comparisons <see cref="IsHandled"/> makes; only a cost.</summary>
    public int IsHandledComparisons { get; init; } = 1;

    /// <summary>After a failure: how many entries the failing pass had done.</summary>
    public int FailCount { get; set; }

    /// <summary>After a failure: the address of the entry that failed.</summary>
    public GuestAddress FailAddr { get; set; }

    /// <summary>Goes through the list once.</summary>
    public IEnumerable<T> Entries()
    {
        for (var iter = Start(Init); iter is not null; iter = Next(iter)) yield return iter;
    }
}
