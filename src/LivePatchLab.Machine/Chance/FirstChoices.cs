namespace LivePatchLab.Machine;

/// <summary>No chance at all: always the first alternative. For runs whose every step is to be seen and told.</summary>
public sealed class FirstChoices : IChoiceSource
{
    public int Choose(ChoicePoint point, int alternatives) => 0;
}
