using System.Buffers.Binary;
using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>The program of a <see cref="PatchScenario"/>'s executors, and the sites in it, laid out for a shape.</summary>
internal sealed class PatchProgram
{
    /// <summary>RBX: visits that are left.</summary>
    public const int VisitsRegister = 3;

    private const int CallBytes = 5;

    /// <summary>Every byte of it is another.</summary>
    private const int XrayFunction = 0x11223344;

    /// <summary>The page of text that the sites lie in.</summary>
    public static readonly GuestAddress Code = new(0xffffffff81000000);

    private static readonly GuestAddress Data = new(0xffffffff82000000);

    /// <summary>One function before the sites and one behind them: the displacements of their calls differ in every byte, so what is mixed of both shows.</summary>
    private static readonly GuestAddress NewFunction = Code + 0x40, OldFunction = Code + 0x800;

    private static readonly GuestAddress WayIn = Code + 0xe0, FirstLine = Code + 0x100, CallReturn = Code + 0x880, JumpTargets = Code + 0x8c0, Slots = Data + 0xf00;

    private readonly List<(GuestAddress Address, byte[] Bytes)> _parts = [];
    private readonly List<(GuestAddress Address, byte[] Old, byte[] New)> _sites = [];

    public PatchProgram(PatchShape shape)
    {
        var isSlot = shape.From is SiteCode.SlotOld or SiteCode.SlotNew;
        var isFlip = shape.From is SiteCode.TestEax or SiteCode.JumpNew;
        if (isSlot != shape.To is SiteCode.SlotOld or SiteCode.SlotNew || isFlip != shape.To is SiteCode.TestEax or SiteCode.JumpNew || !IsSledTurned(shape))
            throw new BadInputException($"{shape}: a pointer becomes another pointer, test eax and jmp become each other, a sled is turned on or off, and a nop or a call becomes a nop or a call");
        LayOut(shape, isSlot);
    }

    public IReadOnlyList<(GuestAddress Address, byte[] Old, byte[] New)> Sites => _sites;

    /// <summary>The INT3 that is somebody else's, where there is one.</summary>
    public GuestAddress ForeignInt3 { get; private set; }

    public GuestAddress Entry { get; private set; }

    public static GuestAddress StackOf(int cpu) => Data + (256 * cpu) + 128;

    public void Load(SmpMachine machine)
    {
        machine.Memory.Map(Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(Data, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        machine.Memory.Load(OldFunction, [0x49, 0xff, 0xc4, 0xc3]); // inc r12; ret
        machine.Memory.Load(NewFunction, [0x49, 0xff, 0xc5, 0xc3]); // inc r13; ret
        machine.Memory.Load(CallReturn, [0xf4]); // hlt
        foreach (var (address, bytes) in _parts) machine.Memory.Load(address, bytes);
        machine.GuestCallReturn = CallReturn;
    }

    private void LayOut(PatchShape shape, bool isSlot)
    {
        // The loop begins with the first site, which lies where it was asked to; the others follow it.
        var first = FirstLine + shape.SiteOffset;
        var program = new List<byte>();
        for (var i = 0; i < shape.Sites; i++)
        {
            var at = first + program.Count;
            if (isSlot) AddSlot(shape, i, at, program);
            else AddCode(shape, i, at, program);
        }

        if (shape.ForeignInt3)
        {
            ForeignInt3 = first + program.Count;
            program.Add(0xcc);
        }

        Entry = first;
        if (shape.UserMode != UserModeEntry.None || shape.EntersByJump) AddWayIn(shape, first, program);
        program.AddRange([0xff, 0xcb]); // dec ebx
        var back = Entry - (first + program.Count + 2);
        if (back >= sbyte.MinValue) program.AddRange([0x75, (byte)back]); // jnz entry
        else program.AddRange([0x0f, 0x85, .. Displacement(first + program.Count + 6, Entry)]);
        if (shape.UserMode != UserModeEntry.None) program.AddRange([0x31, 0xc0]); // xor eax, eax
        program.AddRange([0x0f, 0x05]); // syscall 0: done
        _parts.Add((first, [.. program]));
    }

    /// <summary>A jump; or into user mode and back into the kernel, where the executor is told what was put off: before the sites, or behind them.</summary>
    private void AddWayIn(PatchShape shape, GuestAddress first, List<byte> program)
    {
        var wayIn = new List<byte>();
        if (shape.UserMode != UserModeEntry.None) wayIn.AddRange(SystemCall(GuestGate.UserEnter));
        if (shape.UserMode == UserModeEntry.SitesBehindFlush) wayIn.AddRange(SystemCall(GuestGate.KernelEnter));
        if (shape.UserMode == UserModeEntry.SitesBeforeFlush) program.AddRange(SystemCall(GuestGate.KernelEnter));
        wayIn.AddRange([0xeb, (byte)(first - (WayIn + wayIn.Count + 2))]); // jmp to the first site
        _parts.Add((WayIn, [.. wayIn]));
        Entry = WayIn;
    }

    private void AddCode(PatchShape shape, int index, GuestAddress at, List<byte> program)
    {
        var target = JumpTargets + (16 * index);
        var (old, @new) = (CodeOf(shape.From, at, target), CodeOf(shape.To, at, target));
        _sites.Add((at, old, @new));
        program.AddRange(old);
        if (shape.From is SiteCode.TestEax or SiteCode.JumpNew)
            _parts.Add((target, [0x49, 0xff, 0xc5, 0xe9, .. Displacement(target + 8, at + CallBytes)])); // inc r13; jmp behind the site
    }

    private void AddSlot(PatchShape shape, int index, GuestAddress at, List<byte> program)
    {
        var slot = Slots + (8 * index);
        var old = PointerOf(shape.From);
        _sites.Add((slot, old, PointerOf(shape.To)));
        _parts.Add((slot, old));
        program.AddRange([0xff, 0x15, .. Displacement(at + 6, slot)]); // call [slot]
    }

    /// <summary>A sled becomes what it can; what is none becomes none.</summary>
    private static bool IsSledTurned(PatchShape shape) => (shape.From, shape.To) switch
    {
        (SiteCode.XrayEmpty or SiteCode.XrayOff, SiteCode.XrayOn) or (SiteCode.XrayOn, SiteCode.XrayOff) => true,
        var (from, to) => !(from is SiteCode.XrayEmpty or SiteCode.XrayOn or SiteCode.XrayOff || to is SiteCode.XrayEmpty or SiteCode.XrayOn or SiteCode.XrayOff),
    };

    private static byte[] CodeOf(SiteCode code, GuestAddress at, GuestAddress jumpTarget) => code switch
    {
        SiteCode.XrayEmpty => XraySled.Empty(),
        SiteCode.XrayOn => XraySled.On(at, XrayFunction, NewFunction),
        SiteCode.XrayOff => XraySled.Off(XraySled.On(at, XrayFunction, NewFunction)),
        SiteCode.Nop => [0x0f, 0x1f, 0x44, 0x00, 0x00],
        SiteCode.CallOld => [0xe8, .. Displacement(at + CallBytes, OldFunction)],
        SiteCode.CallNew => [0xe8, .. Displacement(at + CallBytes, NewFunction)],
        SiteCode.TestEax => [0xa9, .. Displacement(at + CallBytes, jumpTarget)],
        _ => [0xe9, .. Displacement(at + CallBytes, jumpTarget)],
    };

    private static byte[] PointerOf(SiteCode code)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (code == SiteCode.SlotOld ? OldFunction : NewFunction).Value);
        return bytes;
    }

    private static byte[] SystemCall(int number)
    {
        var bytes = new byte[7];
        bytes[0] = 0xb8; // mov eax, number; syscall
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(1), number);
        (bytes[5], bytes[6]) = (0x0f, 0x05);
        return bytes;
    }

    private static byte[] Displacement(GuestAddress from, GuestAddress to)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, checked((int)(to - from)));
        return bytes;
    }
}
