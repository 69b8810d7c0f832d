using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// The processor under the tests, as an oracle: runs a few instructions with given registers, flags and memory. All it needs stands
/// below 2 GiB, so that the same pointers are good in the emulated machine. RSP stays the host's own.
/// </summary>
internal sealed unsafe partial class HostProcessor : IDisposable
{
    public const int DataBytes = 2 * GuestMemory.PageBytes;

    private const int CodeOffset = 0, StateOffset = 0x1000, DataOffset = 0x2000, RegionBytes = 0x4000;
    private const int FlagsIndex = 16;
    private const int StatusFlags = 0x8d5;

    private readonly byte* _region;
    private readonly byte[] _before;
    private readonly byte[] _after;

    public HostProcessor()
    {
        const int ReadWriteExecute = 7, PrivateAnonymousLow = 0x62;
        var region = Map(0, RegionBytes, ReadWriteExecute, PrivateAnonymousLow, -1, 0);
        if (region is -1 or 0 || region + RegionBytes > int.MaxValue) throw new InvalidOperationException("no memory below 2 GiB");
        _region = (byte*)region;
        _before = TestMachine.Assemble((ulong)(_region + CodeOffset), Enter);
        _after = TestMachine.Assemble((ulong)(_region + CodeOffset), Return);
    }

    /// <summary>An x64 Linux, which is where the tests map executable memory and know the calling convention.</summary>
    public static bool IsUsable => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;

    public ulong DataAddress => (ulong)(_region + DataOffset);

    public Span<byte> Data => new(_region + DataOffset, DataBytes);

    /// <summary>RAX … R15 as the encoding numbers them; RSP is not used.</summary>
    public Span<ulong> Registers => new(_region + StateOffset, 16);

    public uint Flags
    {
        get => (uint)((ulong*)(_region + StateOffset))[FlagsIndex] & StatusFlags;
        set => ((ulong*)(_region + StateOffset))[FlagsIndex] = (value & StatusFlags) | 0x202;
    }

    public void Run(ReadOnlySpan<byte> instructions)
    {
        var code = new Span<byte>(_region + CodeOffset, StateOffset);
        _before.CopyTo(code);
        instructions.CopyTo(code[_before.Length..]);
        _after.CopyTo(code[(_before.Length + instructions.Length)..]);
        ((delegate* unmanaged[SuppressGCTransition]<void>)(_region + CodeOffset))();
    }

    public void Dispose() => _ = Unmap((nint)_region, RegionBytes);

    private static readonly AssemblerRegister64[] Names = [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];

    private AssemblerMemoryOperand Slot(int index) => __qword_ptr[(ulong)(_region + StateOffset) + (ulong)(8 * index)];

    private void Enter(Assembler a)
    {
        foreach (var register in new[] { rbx, rbp, r12, r13, r14, r15 }) a.push(register);
        a.push(Slot(FlagsIndex));
        a.popfq();
        for (var i = 0; i < 16; i++)
            if (i != Gpr.Rsp) a.mov(Names[i], Slot(i));
    }

    private void Return(Assembler a)
    {
        for (var i = 0; i < 16; i++)
            if (i != Gpr.Rsp) a.mov(Slot(i), Names[i]);
        a.pushfq();
        a.pop(Slot(FlagsIndex));
        a.cld();
        foreach (var register in new[] { r15, r14, r13, r12, rbp, rbx }) a.pop(register);
        a.ret();
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(nint address, nuint length);
}
