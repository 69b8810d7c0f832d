using System.Runtime.InteropServices;

namespace LivePatchLab.Machine;

/// <summary>
/// The registers of a machine's CPUs, outside the collected heap. An object of its own, so that the finaliser keeps nothing else: a search makes hundreds of machines a
/// second, and a machine that waited for its finaliser would be taken through all generations with everything that hangs on it.
/// </summary>
internal sealed unsafe class CpuStateMemory
{
    private const int LineBytes = 64;

    public CpuStateMemory(int cpus)
    {
        First = (CpuState*)NativeMemory.AlignedAlloc((nuint)(cpus * sizeof(CpuState)), LineBytes);
        NativeMemory.Clear(First, (nuint)(cpus * sizeof(CpuState)));
    }

    ~CpuStateMemory() => NativeMemory.AlignedFree(First);

    public CpuState* First { get; }
}
