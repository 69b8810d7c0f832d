using System.Numerics;

namespace LivePatchLab.Exploration;

/// <summary>
/// Where on the path of a depth-first search each thing was touched and written, by the bits of <see cref="ThingBits"/>: a bit for each place, so that the places that a
/// transition conflicts with are found without going through the others.
/// </summary>
internal sealed class PathPlaces
{
    public const int PlacesPerWord = 64;

    private const int Rows = 64;

    // A word of places for each row, and behind these those of the next word.
    private ulong[] _touched = new ulong[Rows];
    private ulong[] _written = new ulong[Rows];
    private ulong[] _done = new ulong[DepthFirstNode.ActorsMax];
    private ulong[] _releasing = new ulong[1];

    /// <summary>The rows that have ever been used.</summary>
    private ulong _things;
    private int _actors;

    /// <summary>What was performed at a place, behind all others that are there.</summary>
    public void Add(int place, DepthFirstNode node)
    {
        var (word, bit) = (place / PlacesPerWord, 1UL << (place % PlacesPerWord));
        if (word == _releasing.Length) Grow();
        var row = word * Rows;
        for (var left = node.TouchedBits; left != 0; left &= left - 1) _touched[row + BitOperations.TrailingZeroCount(left)] |= bit;
        for (var left = node.WrittenBits; left != 0; left &= left - 1) _written[row + BitOperations.TrailingZeroCount(left)] |= bit;
        _done[(word * DepthFirstNode.ActorsMax) + node.Actor] |= bit;
        if (node.Releases) _releasing[word] |= bit;
        _things |= node.TouchedBits;
        if (node.Actor >= _actors) _actors = node.Actor + 1;
    }

    /// <summary>Takes back what was performed from a place on.</summary>
    /// <param name="place">The first that is taken back.</param>
    /// <param name="end">Behind the last that is there.</param>
    public void RemoveFrom(int place, int end)
    {
        var kept = (1UL << (place % PlacesPerWord)) - 1;
        for (var word = place / PlacesPerWord; word * PlacesPerWord < end; word++, kept = 0)
        {
            for (var left = _things; left != 0; left &= left - 1)
            {
                var row = (word * Rows) + BitOperations.TrailingZeroCount(left);
                _touched[row] &= kept;
                _written[row] &= kept;
            }

            for (var actor = 0; actor < _actors; actor++) _done[(word * DepthFirstNode.ActorsMax) + actor] &= kept;
            _releasing[word] &= kept;
        }
    }

    /// <summary>The places of a word where another actor did something that may conflict with a transition.</summary>
    public ulong ConflictsOf(DepthFirstNode node, int word)
    {
        var places = 0UL;
        var row = word * Rows;
        for (var left = node.TouchedBits; left != 0; left &= left - 1) places |= _written[row + BitOperations.TrailingZeroCount(left)];
        for (var left = node.WrittenBits; left != 0; left &= left - 1) places |= _touched[row + BitOperations.TrailingZeroCount(left)];
        return places & ~_done[(word * DepthFirstNode.ActorsMax) + node.Actor];
    }

    /// <summary>The places of a word where something was handed on.</summary>
    public ulong ReleasesOf(int word) => _releasing[word];

    private void Grow()
    {
        var words = _releasing.Length + 1;
        Array.Resize(ref _touched, words * Rows);
        Array.Resize(ref _written, words * Rows);
        Array.Resize(ref _done, words * DepthFirstNode.ActorsMax);
        Array.Resize(ref _releasing, words);
    }
}
