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
    private const long BufferBytesMax = 64 << 20;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("livepatch-");
    private readonly SmpMachine _machine = new(new MachineOptions { Cpus = 1 });
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _memory;
    private readonly Process _process;
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
        foreach (var (start, length) in _machine.Memory.Regions) Host(start, (int)length).Clear();
        foreach (var (start, length) in _machine.Memory.Regions) Guest(start, (int)length).CopyTo(Host(start, (int)length));
        _process = Process.Start(new ProcessStartInfo(Compile(), [path, $"{_start}", $"{Kernel.ReturnAddress}", $"{_machine.Cpus[0].GsBase}"])
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
        var stack = Kernel.PushFrame(_machine.Cpus[0], arguments.ToArray());
        foreach (var (start, length) in Parts.Append(Kernel.CodeInUse)) Guest(start, length).CopyTo(Host(start, length));

        var result = Kernel.Call(function, arguments);
        var (signal, rax, rip) = CallNatively(Kernel.AddressOf(function), stack, arguments);
        if (signal != SignalOf(result) || (signal == 0 ? rax != result.Rax : rip != result.Fault!.Rip.Value))
            throw new ShouldAssertException($"the processor says {function} = 0x{rax:x}, signal {signal} at {rip:x}; the machine says {result}");
        foreach (var (start, length) in Parts) RequireEqual(start, length, function);
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

    /// <summary>What Linux makes of an exception.</summary>
    private static ulong SignalOf(CallResult result) => (result.End, result.Fault?.Vector) switch
    {
        (CallEnd.Returned, _) => 0,
        (CallEnd.Faulted, TrapVector.InvalidOpcode) => 4,
        (CallEnd.Faulted, TrapVector.DivideError) => 8,
        (CallEnd.Faulted, TrapVector.PageFault or TrapVector.GeneralProtection) => 11,
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
