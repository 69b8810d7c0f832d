namespace LivePatchLab.Interactive;

/// <summary>The cell that a host is running, as far as the lab needs it.</summary>
/// <param name="Identity">The same object whenever it is the same cell.</param>
/// <param name="Display">Shows a value by its formatters; what it returns replaces that value in place.</param>
/// <param name="Cancellation">Fires when the user cancels the cell.</param>
public sealed record HostCell(object Identity, Func<object, Action<object>> Display, CancellationToken Cancellation);
