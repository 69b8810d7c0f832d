namespace LivePatchLab.Notebooks;

/// <summary>The user asked for something that cannot be. The message is one line: what is wrong and what to do; no stack trace is shown.</summary>
public sealed class UserErrorException(string message, Exception? inner = null) : Exception(message, inner);
