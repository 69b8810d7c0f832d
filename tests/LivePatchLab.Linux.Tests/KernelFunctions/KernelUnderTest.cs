using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

/// <summary>The kernel that a group of functions is tried in, and the numbers it is tried with.</summary>
internal class KernelUnderTest(CallableKernel kernel, Draw draw)
{
    public CallableKernel Kernel => kernel;

    public Draw Draw => draw;

    public KernelImage Image => kernel.Image;

    /// <summary>Instructions of all calls so far.</summary>
    public long Instructions { get; protected set; }

    /// <summary>Calls a function that must return; gives RAX.</summary>
    public virtual ulong Call(string function, params ReadOnlySpan<KernelArgument> arguments)
    {
        var result = kernel.Call(function, arguments);
        Instructions += result.Instructions;
        return result.Value;
    }

    public uint Call32(string function, params ReadOnlySpan<KernelArgument> arguments) => (uint)Call(function, arguments);

    public int CallInt(string function, params ReadOnlySpan<KernelArgument> arguments) => (int)Call(function, arguments);

    public KernelBuffer Buffer(int length) => kernel.Buffer(length);

    public KernelBuffer Buffer(ReadOnlySpan<byte> bytes) => kernel.Buffer(bytes);

    public KernelBuffer Text(string text) => kernel.Text(text);

    /// <summary>Where a place of the image is in memory.</summary>
    public GuestAddress AddressOf(GuestAddress linked) => linked + (kernel.AddressOf("_text") - kernel.Image.TextBase);

    public byte[] Read(GuestAddress address, int length) => kernel.Machine.Memory.Read(address, length);
}

/// <summary>Functions that belong together, and what they must answer.</summary>
/// <param name="Name">For the name of the test.</param>
/// <param name="Check">Calls them and compares.</param>
internal sealed record FunctionGroup(string Name, Action<KernelUnderTest> Check)
{
    /// <summary>True where they use instructions that a process may not.</summary>
    public bool IsPrivileged { get; init; }

    public static IReadOnlyList<FunctionGroup> All { get; } =
    [
        .. ChecksumFunctions.Groups, .. NumberFunctions.Groups, .. StringFunctions.Groups, .. FormattingFunctions.Groups, .. HashFunctions.Groups,
        .. CipherFunctions.Groups, .. DecompressionFunctions.Groups, .. DataStructureFunctions.Groups, .. CodeFunctions.Groups,
    ];

    public static TheoryData<string> Names => [.. All.Select(g => g.Name)];

    public static FunctionGroup Named(string name) => All.Single(g => g.Name == name);
}
