using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>References of handlers to what the patcher gave them, counted since Linux 5.6: the patcher has the first, and waits until there is none.</summary>
internal static class Refcount
{
    /// <summary>The patcher's end: gives its own reference up, and spins until the handlers have.</summary>
    public static IEnumerable<KernelStep> DropAndWait(KernelVariable<int> refs)
    {
        var left = 0;
        yield return refs.Update("dec_and_test", count => left = count - 1);
        if (left != 0) yield return refs.SpinUntil("is 0", count => count == 0);
    }

    /// <summary>The handler's end: one reference less.</summary>
    public static KernelStep Put(KernelVariable<int> refs) => refs.Update("dec", count => count - 1);

    /// <summary>atomic_inc_not_zero(): a reference, unless there is none any more.</summary>
    public sealed class Get
    {
        public bool Succeeded { get; private set; }

        public KernelStep From(KernelVariable<int> refs) => refs.Update("inc_not_zero", count =>
        {
            Succeeded = count != 0;
            return Succeeded ? count + 1 : count;
        });
    }
}
