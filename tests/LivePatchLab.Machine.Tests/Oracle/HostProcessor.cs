namespace LivePatchLab.Machine.Tests;

/// <summary>
/// The processor under the tests, as an oracle. One call runs the instructions of many slots, one after the other, each with registers, flags,
/// data and stack of its own, in a process that may end by any signal (<see cref="TrialProcess"/>). The addresses are good in the emulated machine too.
/// </summary>
internal sealed class HostProcessor : IDisposable
{
    public const int Slots = 128, CodeBytesMax = 1024, WindowBytes = 512, StackWindowBytes = 1024;

    /// <summary>What the data windows of all slots lie in, for those who use it as one.</summary>
    public const int DataBytes = Slots * GuestMemory.PageBytes;

    /// <summary>The flags that are compared and may be set before: the status flags and DF.</summary>
    public const uint Flags = LazyFlags.All | SystemFlag.Direction;

    /// <summary>Bases of the segments while slots run: one in the window, and one far out of it.</summary>
    public const ulong GsBase = 0x2100_1234, FsBase = 0x7abc_1234_5678;

    private const int CodeStride = 0x800, StackStride = 0x2000;

    private static readonly GuestAddress CodeStart = new(0x2000_0000);

    private readonly byte[][] _code = new byte[Slots][];
    private readonly TrialProcess _process = new(Slots,
        new(CodeStart, Slots * CodeStride, PagePermissions.Read | PagePermissions.Execute),
        new(DataStart - GuestMemory.PageBytes, DataBytes + (2 * GuestMemory.PageBytes), PagePermissions.Read | PagePermissions.Write),
        new(StackStart, Slots * StackStride, PagePermissions.Read | PagePermissions.Write));

    public HostProcessor()
    {
        for (var slot = 0; slot < Slots; slot++) SetCode(slot, []);
    }

    public static bool IsUsable => TrialProcess.IsUsable;

    public static GuestAddress DataStart { get; } = new(0x2100_0000);

    public static GuestAddress StackStart { get; } = new(0x2200_0000);

    /// <summary>True where a system call of a slot is refused. Known once something has run.</summary>
    public bool IsFenced => _process.IsFenced;

    /// <summary>Where the instructions of a slot begin: at every offset in a line.</summary>
    public static GuestAddress CodeAt(int slot) => CodeStart + ((slot * CodeStride) + 64 + (slot % 64));

    /// <summary>The middle of a slot's data: in every fourth slot the border of two pages.</summary>
    public static GuestAddress DataAt(int slot) => DataStart + ((long)slot * GuestMemory.PageBytes) + (slot % 4 == 0 ? 0 : GuestMemory.PageBytes / 2);

    public Span<byte> DataWindow(int slot) => Window(DataAt(slot) - (WindowBytes / 2), WindowBytes);

    /// <summary>Where the window of a slot's stack ends: in every fourth slot the border of two pages is in it.</summary>
    public static GuestAddress StackEndAt(int slot) => StackStart + ((slot + 1L) * StackStride) - GuestMemory.PageBytes + (slot % 4 == 0 ? 256 : 2048);

    public Span<byte> StackWindow(int slot) => Window(StackEndAt(slot) - StackWindowBytes, StackWindowBytes);

    public Span<byte> Window(GuestAddress start, int length) => _process.Window(start, length);

    /// <summary>What a slot begins with and how it has ended. RIP and the bases are the slot's own.</summary>
    public ref TrialRecord State(int slot) => ref _process[slot];

    public void SetCode(int slot, ReadOnlySpan<byte> instructions)
    {
        const byte Int3 = 0xcc;
        if (instructions.Length > CodeBytesMax) throw new ArgumentException($"{instructions.Length} bytes of code, of which a slot has {CodeBytesMax}", nameof(instructions));
        _code[slot] = instructions.ToArray();
        var place = _process.Window(CodeStart + (slot * CodeStride), CodeStride);
        place.Fill(Int3);
        instructions.CopyTo(place[(int)(CodeAt(slot) - (CodeStart + (slot * CodeStride)))..]);
    }

    /// <summary>Gives a slot the registers and flags to begin with.</summary>
    public void Load(int slot, ReadOnlySpan<ulong> registers, uint flags)
    {
        ref var state = ref State(slot);
        for (var i = 0; i < registers.Length; i++) state.SetRegister(i, registers[i]);
        SetFlags(ref state, flags);
    }

    /// <summary>Runs all slots.</summary>
    public unsafe void Run()
    {
        for (var slot = 0; slot < Slots; slot++)
        {
            ref var state = ref State(slot);
            state.Before[TrialRecord.Rip] = CodeAt(slot).Value;
            (state.FsBase, state.GsBase) = (FsBase, GsBase);
        }

        _process.Run(Slots);
    }

    /// <summary>Runs the instructions of one slot with a stack of its own; the others are left without any.</summary>
    public unsafe void Run(int slot, ReadOnlySpan<byte> instructions)
    {
        for (var other = 0; other < Slots; other++) SetCode(other, other == slot ? instructions : []);
        ref var state = ref State(slot);
        state.SetRegister(Gpr.Rsp, (StackEndAt(slot) - (StackWindowBytes / 2)).Value);
        SetFlags(ref state, (uint)state.Before[TrialRecord.Flags]);
        Run();
    }

    /// <summary>Null where the slot's instructions have run to their end, or the signal by which the processor has refused one of them.</summary>
    public TrialEnd? RefusalOf(int slot)
    {
        var end = TrialEnd.Of(State(slot));
        return end.Signal == TrialSignal.Sigtrap && end.Trap == Traps.Breakpoint && end.Rip == CodeAt(slot).Value + (ulong)_code[slot].Length + 1 ? null : end;
    }

    public void Dispose() => _process.Dispose();

    private static unsafe void SetFlags(ref TrialRecord state, uint flags)
    {
        const uint AlwaysSet = 2;
        state.Before[TrialRecord.Flags] = (flags & Flags) | SystemFlag.Interrupt | AlwaysSet;
    }
}
