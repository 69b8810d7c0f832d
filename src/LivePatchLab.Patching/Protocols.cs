using LivePatchLab.Linux;

namespace LivePatchLab.Patching;

/// <summary>The protocols that the lab knows.</summary>
public static class Protocols
{
    public static IPatchProtocol StopMachine { get; } = new StopMachineProtocol();

    public static IPatchProtocol Ftrace2012 { get; } = new Ftrace2012();

    public static IPatchProtocol TextPokeBp { get; } = new TextPokeBp();

    public static IPatchProtocol TextPokeBpList { get; } = new TextPokeBpList();

    public static IPatchProtocol Ftrace2014 { get; } = new Ftrace2014();

    public static IPatchProtocol TextPokeBpBatch { get; } = new TextPokeBpBatch();

    public static IPatchProtocol TextPokeBpEmulate { get; } = new TextPokeBpEmulate();

    public static IPatchProtocol TextPokeQueue { get; } = new TextPokeQueue();

    public static IPatchProtocol TextPokeBpTwoPhase { get; } = new TextPokeBpTwoPhase();

    public static IPatchProtocol TextPokeBpRefcount { get; } = new TextPokeBpRefcount();

    public static IPatchProtocol TextPokeBpGlobalDesc { get; } = new TextPokeBpGlobalDesc();

    public static IPatchProtocol TextPokeBpPerCpuRefs { get; } = new TextPokeBpPerCpuRefs();

    public static IPatchProtocol SmpTextPoke { get; } = new SmpTextPoke();

    /// <summary>The kernel's own line, from stop_machine() over ftrace and the seed to today's: each patches any instructions, of all sites together.</summary>
    public static IReadOnlyList<IPatchProtocol> Kernel { get; } =
    [
        StopMachine, Ftrace2012, TextPokeBp, TextPokeBpList, Ftrace2014,
        TextPokeBpBatch, TextPokeBpEmulate, TextPokeQueue, TextPokeBpTwoPhase,
        TextPokeBpRefcount, TextPokeBpGlobalDesc, TextPokeBpPerCpuRefs, SmpTextPoke,
    ];

    /// <summary>Protocols outside the kernel's own line. Most change only sites made for them, or promise little where CPUs are as bad as the manuals allow.</summary>
    public static IReadOnlyList<IPatchProtocol> Peers { get; } =
    [
        new BpfArchTextPoke(TextPokeBp), new WordPatch(), new NaClDyncode(), new HotSpotSelfLoop(), new OneByteFlip(), new XraySled(), new DataSlot(), new UprobeInt3Update(), new WithDeferredSync(TextPokeBp),
    ];

    public static IReadOnlyList<IPatchProtocol> All { get; } = [.. Kernel, .. Peers];

    /// <summary>The protocol of a name.</summary>
    /// <exception cref="BadInputException">There is none; the message names the nearest.</exception>
    public static IPatchProtocol Named(string name) => Suggestion.Find(All, p => p.Name, name, "protocol");

    /// <summary>The protocol with the sync after one of its phases left out.</summary>
    public static IPatchProtocol Without(this IPatchProtocol protocol, string phase) => new WithoutSync(protocol, phase);
}
