// The stand-in bears the names of .NET Interactive, because the scripts of the package name them. Its members and what they do are those that
// the product has at its last state (dotnet/interactive, f1694a6); nothing is here that our scripts do not use.
namespace Microsoft.DotNet.Interactive.Commands;

public abstract class KernelCommand
{
    [System.Text.Json.Serialization.JsonIgnore]
    public KernelCommand? Parent { get; internal set; }

    public string? TargetKernelName { get; set; }

    /// <summary>One line, or the text between two, of the cell that is its parent; it fails together with the cell.</summary>
    internal bool IsPart { get; set; }
}

public sealed class SubmitCode : KernelCommand
{
    public SubmitCode(string code, string? targetKernelName = null)
    {
        Code = code;
        TargetKernelName = targetKernelName;
    }

    public string Code { get; }
}

public abstract class KernelDirectiveCommand : KernelCommand;
