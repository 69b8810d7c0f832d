namespace LivePatchLab.Linux;

/// <summary>A file or value of the user's that cannot be used; the message is the one line the user sees: where, what, what to do.</summary>
public sealed class BadInputException(string message) : Exception(message);
