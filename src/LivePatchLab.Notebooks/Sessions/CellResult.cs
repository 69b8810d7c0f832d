namespace LivePatchLab.Notebooks;

/// <summary>One line about a cell that failed, as the user sees it.</summary>
public sealed record CellMessage(int Cell, int? Line, string Text)
{
    public override string ToString() => Line is null ? $"cell {Cell}: {Text}" : $"cell {Cell}, line {Line}: {Text}";
}

/// <summary>Why a cell failed: a kind (an exception's type, "CompilationError", "UserError", "Interrupted") and at least one line.</summary>
public sealed record CellFailure(string Kind, IReadOnlyList<CellMessage> Messages)
{
    public const string CompilationError = "CompilationError";
    public const string UserError = "UserError";
    public const string Interrupted = "Interrupted";

    public static CellFailure InterruptedIn(int cell, string message = "interrupted") => new(Interrupted, [new(cell, null, message)]);

    public int? Line => Messages[0].Line;

    public ErrorOutput ToOutput() => new(Kind, Messages[0].Text, [.. Messages.Select(message => message.ToString())]);

    public override string ToString() => string.Join('\n', Messages);
}

/// <summary>How a cell ended: with the value of its last expression, without one, or with a failure.</summary>
public sealed record CellResult(MimeBundle? Value, CellFailure? Failure)
{
    public static CellResult Nothing { get; } = new(null, null);

    public bool Succeeded => Failure is null;
}
