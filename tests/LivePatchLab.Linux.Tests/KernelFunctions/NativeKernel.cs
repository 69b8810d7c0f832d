using System.Diagnostics;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux.Tests;

/// <summary>
/// A relocated kernel twice: in a machine, and in a process of this computer (kernel-caller.c) at the same addresses. The two share
/// nothing; what the tests write into the machine is copied before a call, and all that it leaves is compared behind it.
/// </summary>
internal sealed unsafe class NativeKernel : IDisposable
{
    /// <summary>Room for buffers; the file is sparse.</summary>
    private const long BufferBytesMax = 16 << 20;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("livepatch-");
    private readonly SmpMachine _machine = new(new MachineOptions { Cpus = 1 });
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _memory;
    private readonly Process _process;
    private readonly UnfitInstructions _unfit;
    private readonly GuestAddress _start;
    private readonly GuestAddress _imageEnd;

    public NativeKernel(KernelImage image)
    {
        var slide = RelocatedKernel.LayOut(_machine.Memory, image);
        _start = image.TextBase + slide;
        Kernel = new(_machine, image, slide);
        _imageEnd = Kernel.ReturnAddress;
        var path = Path.Combine(_folder.FullName, "memory");
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.CreateNew, null, Kernel.BuffersInUse.Start - _start + BufferBytesMax);
        _view = _file.CreateViewAccessor();
        byte* memory = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref memory);
        _memory = memory;
        CopyImage();
        _unfit = new(_machine, Kernel.ReturnAddress);

        // Buffers are mapped as they are asked for; what a function may touch must be the same from the start on.
        Kernel.Buffer((int)BufferBytesMax / 2);
        Kernel.ReleaseBuffers();

        // PagePermissions has the bits of mprotect().
        var regions = _machine.Memory.Regions.Select(r => $"{r.Start},{r.Length:x},{(int)_machine.Memory.PermissionsAt(r.Start)!.Value}");
        _process = Process.Start(new ProcessStartInfo(Compile(), [path, $"{_start}", $"{Kernel.ReturnAddress}", $"{_machine.Cpus[0].GsBase}", .. regions])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
    }

    public CallableKernel Kernel { get; }

    /// <summary>What a function may write, apart from the kernel's own variables.</summary>
    private (GuestAddress Start, int Length)[] Parts => [Kernel.FirstStack, Kernel.BuffersInUse];

    /// <summary>Null where there is all that this needs; else what is missing.</summary>
    public static string? WhyNot => HostTools.WhyNoGcc ?? KernelFolder.WhyNot(KernelFolder.Cloud61);

    /// <summary>
    /// Calls a function in both; what it returns, or the fault that ends it, and the stack and the buffers that it leaves, must be the same.
    /// </summary>
    public CallResult Call(string function, ReadOnlySpan<KernelArgument> arguments)
    {
        var stack = PrepareCall(arguments);
        var result = Kernel.Call(function, arguments);
        CompareWithProcessor(result, stack, arguments).ShouldBeTrue($"{function} does not come to an end on the processor; the machine says {result}");
        return result;
    }

    /// <summary>
    /// The same for a function that may do anything: null, with nothing compared, where in the machine it did not come to an end in some
    /// thousands of instructions or executed one that a process may not, or whose answer is each processor's own.
    /// </summary>
    public CallResult? TryCall(string function, ReadOnlySpan<KernelArgument> arguments)
    {
        var stack = PrepareCall(arguments);
        Kernel.StepsMax = 5000;
        _unfit.Begin();
        var result = Kernel.Call(function, arguments);
        _unfit.End();
        Kernel.StepsMax = CallableKernel.StepsMaxDefault;
        if (result.End is not (CallEnd.Returned or CallEnd.Faulted) || _unfit.WereExecuted || _unfit.IsAt(result.Fault?.Rip) || !CompareWithProcessor(result, stack, arguments))
        {
            CopyImage();
            return null;
        }

        RequireEqualImages(function);
        return result;
    }

    /// <summary>The kernel's own data and code must be the same in both, too.</summary>
    public void RequireEqualImages(string after)
    {
        foreach (var (start, length) in _machine.Memory.Regions.Where(r => r.Start < _imageEnd)) RequireEqual(start, (int)length, after);
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(10))) _process.Kill();
        _process.Dispose();
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
        _machine.Dispose();
        _folder.Delete(recursive: true);
    }

    /// <summary>What the kernel's linked data and code are in the machine, they are there.</summary>
    private void CopyImage()
    {
        foreach (var (start, length) in _machine.Memory.Regions.Where(r => r.Start < _imageEnd)) Guest(start, (int)length).CopyTo(Host(start, (int)length));
    }

    private GuestAddress PrepareCall(ReadOnlySpan<KernelArgument> arguments)
    {
        var stack = Kernel.PushFrame(_machine.Cpus[0], arguments.ToArray());
        foreach (var (start, length) in Parts.Append(Kernel.CodeInUse)) Guest(start, length).CopyTo(Host(start, length));
        return stack;
    }

    /// <summary>
    /// False where a fault of the machine's takes the processor for ever: a locked access that wraps around the end of the address space
    /// does so under some hypervisors.
    /// </summary>
    private bool CompareWithProcessor(CallResult result, GuestAddress stack, ReadOnlySpan<KernelArgument> arguments)
    {
        const int sigAlrm = 14;
        var (signal, rax, rip) = CallNatively(Kernel.AddressOf(result.Function), stack, arguments);
        if (signal == sigAlrm && rip == result.Fault?.Rip.Value) return false;
        if (signal != SignalOf(result) || (signal == 0 ? rax != result.Rax : rip != result.Fault!.Rip.Value))
            throw new ShouldAssertException($"the processor says {result.Function} = 0x{rax:x}, signal {signal} at {rip:x}; the machine says {result}; arguments {string.Join(", ", arguments.ToArray())}");
        foreach (var (start, length) in Parts) RequireEqual(start, length, result.Function);
        return true;
    }

    /// <summary>What Linux makes of an exception; a fault on the stack, 12, is a SIGBUS.</summary>
    private static ulong SignalOf(CallResult result) => (result.End, result.Fault?.Vector) switch
    {
        (CallEnd.Returned, _) => 0,
        (CallEnd.Faulted, TrapVector.InvalidOpcode) => 4,
        (CallEnd.Faulted, TrapVector.DivideError) => 8,
        (CallEnd.Faulted, TrapVector.PageFault or TrapVector.GeneralProtection) => 11,
        (CallEnd.Faulted, (TrapVector)12) => 7,
        _ => throw new ShouldAssertException($"{result}"),
    };

    private (ulong Signal, ulong Rax, ulong Rip) CallNatively(GuestAddress entry, GuestAddress stack, ReadOnlySpan<KernelArgument> arguments)
    {
        var call = new ulong[8];
        (call[0], call[1]) = (entry.Value, stack.Value);
        for (var i = 0; i < Math.Min(6, arguments.Length); i++) call[2 + i] = arguments[i].Value;
        _process.StandardInput.BaseStream.Write(MemoryMarshal.AsBytes(call.AsSpan()));
        _process.StandardInput.BaseStream.Flush();
        var answer = new ulong[3];
        _process.StandardOutput.BaseStream.ReadExactly(MemoryMarshal.AsBytes(answer.AsSpan()));
        return (answer[0], answer[1], answer[2]);
    }

    private void RequireEqual(GuestAddress start, int length, string after)
    {
        var here = Guest(start, length);
        var there = Host(start, length);
        var at = here.CommonPrefixLength(there);
        if (at < length) throw new ShouldAssertException($"after {after}: the byte at {start + at} ({Kernel.Image.Symbols.NameOf(start + at - (_start - Kernel.Image.TextBase))}) is {here[at]:x2} in the machine and {there[at]:x2} on the processor");
    }

    private Span<byte> Guest(GuestAddress address, int length) => new(_machine.Memory.Origin + (long)address.Value, length);

    private Span<byte> Host(GuestAddress address, int length) => new(_memory + (address - _start), length);

    private string Compile()
    {
        var program = Path.Combine(_folder.FullName, "kernel-caller");
        var source = Path.Combine(LabFolder.Root, "tests", "LivePatchLab.Linux.Tests", "KernelFunctions", "kernel-caller.c");
        using var gcc = Process.Start("gcc", ["-O1", "-o", program, source]);
        gcc.WaitForExit();
        gcc.ExitCode.ShouldBe(0, "gcc");
        return program;
    }
}
