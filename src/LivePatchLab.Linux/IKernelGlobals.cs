namespace LivePatchLab.Linux;

/// <summary>Global variables that a kernel keeps when it boots again on the machine that it ran on: a search boots one a million times.</summary>
public interface IKernelGlobals
{
    /// <summary>Brings them to what they are in a kernel that has booted just now, and registers their handlers. Done before they are first used after each boot.</summary>
    void Boot(LinuxKernel kernel);
}
