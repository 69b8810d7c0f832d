namespace LivePatchLab.Linux;

/// <summary>A good input that needs something this computer does not have; the message says what to install.</summary>
public sealed class UnsupportedInputException(string message) : Exception(message);
