using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration;

/// <summary>What stands at a site.</summary>
public enum SiteCode
{
    /// <summary>The five-byte nop of the kernel's ftrace.</summary>
    Nop,

    /// <summary>A call of the function that counts as the old one.</summary>
    CallOld,

    /// <summary>A call of the function that counts as the new one.</summary>
    CallNew,

    /// <summary>test eax with an immediate number, which has no effect here. It becomes <see cref="JumpNew"/>, and its other four bytes are the same.</summary>
    TestEax,

    /// <summary>A jump to code that counts as new, and comes back.</summary>
    JumpNew,

    /// <summary>XRay's sled as the compiler lays it down: a jump over nine bytes of nop. It becomes <see cref="XrayOn"/>.</summary>
    XrayEmpty,

    /// <summary>The sled that is on: its function's number goes into a register, and a function is called that counts as new. It becomes <see cref="XrayOff"/>.</summary>
    XrayOn,

    /// <summary>The sled that is off again: the jump stands before what is left of the call. It becomes <see cref="XrayOn"/>.</summary>
    XrayOff,

    /// <summary>No code: a pointer to the old function, in data, through which the executors call. It becomes <see cref="SlotNew"/>.</summary>
    SlotOld,

    /// <summary>The same pointer, to the new function.</summary>
    SlotNew,
}

/// <summary>Where the sites lie of executors that go through user mode.</summary>
public enum UserModeEntry
{
    /// <summary>They are in the kernel all the time.</summary>
    None,

    /// <summary>They enter the kernel before each visit, and what was put off while they were in user mode is done before they come to the sites.</summary>
    SitesBehindFlush,

    /// <summary>They come to the sites on the way in, before that is done.</summary>
    SitesBeforeFlush,
}

/// <summary>What is patched in a <see cref="PatchScenario"/>, and who comes by.</summary>
public sealed record PatchShape
{
    /// <summary>Sites in a row, 1 to 8.</summary>
    public int Sites
    {
        get;
        init => field = value is >= 1 and <= 8 ? value : throw new BadInputException($"{value} sites: a scenario has 1 to 8");
    } = 1;

    /// <summary>CPUs that come by, 1 to 7.</summary>
    public int Executors
    {
        get;
        init => field = value is >= 1 and <= 7 ? value : throw new BadInputException($"{value} executors: a scenario has 1 to 7");
    } = 1;

    /// <summary>How often each executor comes by, 1 to 8.</summary>
    public int Visits
    {
        get;
        init => field = value is >= 1 and <= 8 ? value : throw new BadInputException($"{value} visits: an executor comes by 1 to 8 times");
    } = 1;

    /// <summary>Where in a 64-byte line the first site begins: at 5 it crosses an 8-byte boundary, at 61 also the end of the line, at 0 neither.</summary>
    public int SiteOffset
    {
        get;
        init => field = value is >= 0 and <= 63 ? value : throw new BadInputException($"offset {value}: a site begins at byte 0 to 63 of a line");
    } = 5;

    public SiteCode From { get; init; } = SiteCode.CallOld;

    public SiteCode To { get; init; } = SiteCode.CallNew;

    /// <summary>Behind the sites each executor meets an INT3 that is not the patcher's: a kprobe's, as far as the patcher's handler is concerned.</summary>
    public bool ForeignInt3 { get; init; }

    /// <summary>The executors are programs at privilege level 3.</summary>
    public bool IsUser { get; init; }

    public UserModeEntry UserMode { get; init; }

    /// <summary>Each visit begins with a jump to the first site: a model that takes a block as it was when it was entered then takes it as it is at the visit.</summary>
    public bool EntersByJump { get; init; }

    public MemoryOrder MemoryOrder { get; init; } = MemoryOrder.SequentiallyConsistent;

    public override string ToString()
        => $"{Sites} site{(Sites == 1 ? "" : "s")} {Show(From)} -> {Show(To)} at line offset {SiteOffset}, {Executors} executor{(Executors == 1 ? "" : "s")}, {Visits} visit{(Visits == 1 ? "" : "s")}"
            + (EntersByJump ? ", by a jump" : "")
            + (IsUser ? ", a program's" : "")
            + (ForeignInt3 ? ", another's int3 behind" : "")
            + UserMode switch { UserModeEntry.SitesBehindFlush => ", from user mode", UserModeEntry.SitesBeforeFlush => ", from user mode and before the flush", _ => "" };

    private static string Show(SiteCode code) => code switch
    {
        SiteCode.Nop => "nop",
        SiteCode.CallOld => "call old",
        SiteCode.CallNew => "call new",
        SiteCode.TestEax => "test eax",
        SiteCode.JumpNew => "jmp new",
        SiteCode.XrayEmpty => "empty sled",
        SiteCode.XrayOn => "sled that is on",
        SiteCode.XrayOff => "sled that is off",
        SiteCode.SlotOld => "[old]",
        _ => "[new]",
    };
}
