namespace LivePatchLab.Notebooks;

/// <summary>What a name stands for, in the words that frontends have pictures for.</summary>
public enum CompletionKind
{
    Keyword,
    Variable,
    Parameter,
    Method,
    Property,
    Field,
    Event,
    Constant,
    Type,
    Namespace,
}

/// <summary>Something that could stand at the cursor.</summary>
/// <param name="Text">What is written there, whole.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Signature">As C# declares it; empty where that says no more than the name.</param>
public sealed record CompletionItem(string Text, CompletionKind Kind, string Signature);

/// <summary>All that could stand at the cursor, in the order in which it is offered; each replaces the text from <paramref name="Start"/> to <paramref name="End"/>.</summary>
public sealed record CompletionList(int Start, int End, IReadOnlyList<CompletionItem> Items);
