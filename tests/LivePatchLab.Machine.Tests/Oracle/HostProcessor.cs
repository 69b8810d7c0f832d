using System.Runtime.InteropServices;
using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>The registers of one slot of <see cref="HostProcessor"/>, as they are loaded before and stored after its instructions.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct HostState
{
    /// <summary>RAX … R15 as the encoding numbers them.</summary>
    public fixed ulong Registers[16];

    public ulong Flags;
}

/// <summary>
/// The processor under the tests, as an oracle. One call runs the instructions of many slots, one after the other, each with registers, flags,
/// data and stack of its own. All stands below 2 GiB, so that the same addresses are good in the emulated machine, that of the code too.
/// </summary>
internal sealed unsafe partial class HostProcessor : IDisposable
{
    public const int Slots = 128, CodeBytesMax = 1024, WindowBytes = 512, StackWindowBytes = 1024;

    /// <summary>What the data windows of all slots lie in, for those who use it as one.</summary>
    public const int DataBytes = Slots * GuestMemory.PageBytes;

    /// <summary>The flags that are compared and may be set before: the status flags and DF.</summary>
    public const uint Flags = LazyFlags.All | SystemFlag.Direction;

    private const int StackStride = 0x2000;
    private const int CodeStride = 0x800, EpilogueOffset = 0x600, StateStride = CodeStride;
    private const int CodeBytes = (Slots + 1) * CodeStride, StateBytes = CodeBytes;
    private const int ScratchBytes = 0x2_0000, StackBytes = Slots * StackStride;
    private const int RegionBytes = CodeBytes + StateBytes + ScratchBytes + DataBytes + StackBytes + (4 * GuestMemory.PageBytes);

    private readonly byte* _region;
    private readonly int _prologueBytes;

    public HostProcessor()
    {
        const int ReadWriteExecute = 7, PrivateAnonymousLow = 0x62;
        var region = Map(0, RegionBytes, ReadWriteExecute, PrivateAnonymousLow, -1, 0);
        if (region is -1 or 0 || region + RegionBytes > int.MaxValue) throw new InvalidOperationException("no memory below 2 GiB");
        _region = (byte*)region;
        ulong code = (ulong)_region, state = code + CodeBytes, scratchTop = state + StateBytes + ScratchBytes;
        DataStart = new GuestAddress((scratchTop + 0x1fff) & ~0xfffUL);
        StackStart = DataStart + DataBytes + GuestMemory.PageBytes;

        // The state has the stride of the code, so that one prologue and one epilogue, relative to RIP, are good for all slots.
        var prologue = TestMachine.Assemble(code, a => Enter(a, state, scratchTop));
        var epilogue = TestMachine.Assemble(code + EpilogueOffset, a => Leave(a, state, scratchTop, code + CodeStride));
        _prologueBytes = prologue.Length;
        for (var slot = 0; slot < Slots; slot++)
        {
            prologue.CopyTo(new Span<byte>(_region + (slot * CodeStride), prologue.Length));
            epilogue.CopyTo(new Span<byte>(_region + (slot * CodeStride) + EpilogueOffset, epilogue.Length));
            SetCode(slot, []);
        }

        var last = _region + (Slots * CodeStride);
        TestMachine.Assemble((ulong)last, a => Return(a, scratchTop)).CopyTo(new Span<byte>(last, EpilogueOffset));
        var entry = TestMachine.Assemble((ulong)last + EpilogueOffset, a => Call(a, scratchTop, code));
        entry.CopyTo(new Span<byte>(last + EpilogueOffset, CodeStride - EpilogueOffset));
        GsBase = DataStart.Value + 0x1234;
    }

    /// <summary>An x64 Linux, which is where the tests map executable memory and know the calling convention.</summary>
    public static bool IsUsable => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;

    public GuestAddress DataStart { get; }

    public GuestAddress StackStart { get; }

    /// <summary>Bases of the segments while slots run. That of FS is the host's own, which nothing may move.</summary>
    public ulong GsBase { get; }

    public static ulong FsBase
    {
        get
        {
            const int GetFs = 0x1003;
            ulong value = 0;
            return ControlSegment(GetFs, (nint)(&value)) == 0 ? value : throw new InvalidOperationException("ARCH_GET_FS failed");
        }
    }

    /// <summary>Where the instructions of a slot begin.</summary>
    public GuestAddress CodeAt(int slot) => new((ulong)_region + (ulong)(slot * CodeStride) + (ulong)_prologueBytes);

    /// <summary>The middle of a slot's data: in every fourth slot the border of two pages.</summary>
    public GuestAddress DataAt(int slot) => DataStart + ((long)slot * GuestMemory.PageBytes) + (slot % 4 == 0 ? 0 : GuestMemory.PageBytes / 2);

    public Span<byte> DataWindow(int slot) => Window(DataAt(slot) - (WindowBytes / 2), WindowBytes);

    /// <summary>Where the window of a slot's stack ends: in every fourth slot the border of two pages is in it.</summary>
    public GuestAddress StackEndAt(int slot) => StackStart + ((slot + 1L) * StackStride) - GuestMemory.PageBytes + (slot % 4 == 0 ? 256 : 2048);

    public Span<byte> StackWindow(int slot) => Window(StackEndAt(slot) - StackWindowBytes, StackWindowBytes);

    public ref HostState State(int slot) => ref *(HostState*)(_region + CodeBytes + (slot * StateStride));

    public Span<byte> Window(GuestAddress start, int length) => new((byte*)start.Value, length);

    public void SetCode(int slot, ReadOnlySpan<byte> instructions)
    {
        if (instructions.Length > CodeBytesMax) throw new ArgumentException($"{instructions.Length} bytes of code, of which a slot has {CodeBytesMax}", nameof(instructions));
        var place = (byte*)CodeAt(slot).Value;
        instructions.CopyTo(new Span<byte>(place, CodeBytesMax));
        place += instructions.Length;
        *place = 0xe9;
        *(int*)(place + 1) = (int)(_region + (slot * CodeStride) + EpilogueOffset - (place + 5));
    }

    /// <summary>Runs all slots.</summary>
    public void Run()
    {
        const int SetGs = 0x1001;
        if (ControlSegment(SetGs, (nint)GsBase) != 0) throw new InvalidOperationException("ARCH_SET_GS failed");

        // The runtime signals its threads when it collects garbage, and its handler does not bear a stack that it does not know.
        const int BlockSignals = 0, SetMask = 2, SignalSetWords = 16;
        ulong* all = stackalloc ulong[SignalSetWords], before = stackalloc ulong[SignalSetWords];
        new Span<ulong>(all, SignalSetWords).Fill(ulong.MaxValue);
        if (MaskSignals(BlockSignals, (nint)all, (nint)before) != 0) throw new InvalidOperationException("pthread_sigmask failed");
        ((delegate* unmanaged[SuppressGCTransition]<void>)(_region + (Slots * CodeStride) + EpilogueOffset))();
        _ = MaskSignals(SetMask, (nint)before, 0);
        _ = ControlSegment(SetGs, 0);
    }

    /// <summary>Runs the instructions of one slot; the others are left without any.</summary>
    public void Run(int slot, ReadOnlySpan<byte> instructions)
    {
        for (var other = 0; other < Slots; other++) SetCode(other, other == slot ? instructions : []);
        ref var state = ref State(slot);
        state.Registers[Gpr.Rsp] = (StackEndAt(slot) - (StackWindowBytes / 2)).Value;
        state.Flags = (state.Flags & Flags) | 2;
        Run();
    }

    public void Dispose() => _ = Unmap((nint)_region, RegionBytes);

    private static readonly Register[] Preserved = [Register.RBX, Register.RBP, Register.R12, Register.R13, Register.R14, Register.R15];

    private static MemoryOperand At(ulong address) => new(Register.RIP, (long)address, 8);

    private static void Load(Assembler a, int register, ulong state)
        => a.AddInstruction(Instruction.Create(Code.Mov_r64_rm64, Register.RAX + register, At(state + (8 * (ulong)register))));

    private static void Enter(Assembler a, ulong state, ulong scratchTop)
    {
        a.AddInstruction(Instruction.Create(Code.Mov_r32_imm32, Register.ESP, (uint)scratchTop - 0x100));
        a.AddInstruction(Instruction.Create(Code.Push_rm64, At(state + (8 * 16))));
        a.popfq();
        for (var i = 0; i < 16; i++)
            if (i != Gpr.Rsp) Load(a, i, state);
        Load(a, Gpr.Rsp, state);
    }

    private static void Leave(Assembler a, ulong state, ulong scratchTop, ulong next)
    {
        for (var i = 0; i < 16; i++)
            a.AddInstruction(Instruction.Create(Code.Mov_rm64_r64, At(state + (8 * (ulong)i)), Register.RAX + i));
        a.AddInstruction(Instruction.Create(Code.Mov_r32_imm32, Register.ESP, (uint)scratchTop - 0x100));
        a.pushfq();
        a.AddInstruction(Instruction.Create(Code.Pop_rm64, At(state + (8 * 16))));
        a.cld();
        a.jmp(next);
    }

    // The host's stack pointer waits at the end of the scratch stack.
    private static void Call(Assembler a, ulong scratchTop, ulong first)
    {
        foreach (var register in Preserved) a.AddInstruction(Instruction.Create(Code.Push_r64, register));
        a.AddInstruction(Instruction.Create(Code.Mov_rm64_r64, At(scratchTop - 8), Register.RSP));
        a.jmp(first);
    }

    private static void Return(Assembler a, ulong scratchTop)
    {
        a.AddInstruction(Instruction.Create(Code.Mov_r64_rm64, Register.RSP, At(scratchTop - 8)));
        foreach (var register in Preserved.Reverse()) a.AddInstruction(Instruction.Create(Code.Pop_r64, register));
        a.ret();
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "pthread_sigmask")]
    private static partial int MaskSignals(int how, nint set, nint before);

    [LibraryImport("libc", EntryPoint = "arch_prctl", SetLastError = true)]
    private static partial int ControlSegment(int code, nint address);
}
