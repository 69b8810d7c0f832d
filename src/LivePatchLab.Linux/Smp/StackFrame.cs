using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// Local variables of a kernel function whose address another CPU may have: they lie on the stack of its task, and once the function has returned the
/// next call writes over them. A use after that is an observable value, and is kept in <see cref="LinuxKernel.UseAfterReturn"/>.
/// </summary>
/// <param name="kernel">Whose stack it is.</param>
/// <param name="function">Whose variables.</param>
public abstract class StackFrame(LinuxKernel kernel, string function)
{
    /// <summary>True once the function has returned.</summary>
    public bool IsGone { get; private set; }

    /// <summary>What the next call does to the variables, as steps.</summary>
    protected abstract IEnumerable<KernelStep> Overwrite();

    /// <summary>The function returns, and the next call of its task uses the stack.</summary>
    public IEnumerable<KernelStep> Return()
    {
        IsGone = true;
        return Overwrite();
    }

    /// <summary>A CPU is about to use a variable; called where the step that does is yielded.</summary>
    public void NoteUse(Cpu cpu, string variable)
    {
        if (IsGone) kernel.UseAfterReturn ??= $"{cpu.Id} uses {variable} of {function}(), which has returned";
    }
}
