using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>One answer of chance: which of the alternatives was taken at a point where the machine leaves something open.</summary>
/// <param name="Point">What was asked.</param>
/// <param name="Choice">The answer, in [0, <paramref name="Alternatives"/>).</param>
/// <param name="Alternatives">How many answers there were; at least 2.</param>
public readonly record struct Decision(ChoicePoint Point, int Choice, int Alternatives);
