global using static LivePatchLab.Linux.Tests.TestMemory;

using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

internal static class TestMemory
{
    public static GuestMemory NewMemory() => new();

    public static GuestAddress At(ulong address) => new(address);
}
