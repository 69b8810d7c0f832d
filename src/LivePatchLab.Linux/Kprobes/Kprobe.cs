using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>How far a probe has come.</summary>
public enum KprobeState
{
    /// <summary>Its text is as it was compiled.</summary>
    Disarmed,

    /// <summary>INT3 stands on the first byte.</summary>
    Armed,

    /// <summary>It waits to become a jump, or is becoming one.</summary>
    Optimising,

    /// <summary>A jump of five bytes stands over the first instructions.</summary>
    Optimised,

    /// <summary>The jump waits to be taken away.</summary>
    Unoptimising,
}

/// <summary>A probe on an instruction of the kernel.</summary>
[KernelName("kprobe", File = "include/linux/kprobes.h", Version = "v6.1")]
public sealed class Kprobe
{
    /// <param name="kernel">Where it lives.</param>
    /// <param name="name">Different from those of all other probes.</param>
    /// <param name="address">The first byte of an instruction.</param>
    public Kprobe(LinuxKernel kernel, string name, GuestAddress address)
    {
        Name = name;
        Address = address;
        Hits = new($"{name}.hits", 0);
        State = new($"{name}.state", KprobeState.Disarmed);
        Memory = KernelHeap.In(kernel).Allocate(name, KprobeCode.Poison, KprobeCode.Poison);
    }

    public string Name { get; }

    public GuestAddress Address { get; }

    /// <summary>How often its INT3 was hit. Hits of the jump are counted by <see cref="Kprobes.JumpHitsOf"/>.</summary>
    public KernelVariable<int> Hits { get; }

    public KernelVariable<KprobeState> State { get; }

    /// <summary>What registering it returned: 0, or a negative error number.</summary>
    public int Error { get; internal set; }

    /// <summary>The memory of the probe itself, which the handler reads; freed once it is unregistered.</summary>
    public KernelObject<KprobeCode> Memory { get; }

    /// <summary>The bytes from <see cref="Address"/> on as they are without any probe; at least as many as a jump has.</summary>
    public IReadOnlyList<byte> OriginalCode { get; internal set; } = [];

    internal KprobeSlot? Detour { get; set; }

    internal GuestAddress Slot { get; set; }

    internal bool HasJump(KprobesOptions options)
        => State.Value == KprobeState.Optimised || (State.Value == KprobeState.Unoptimising && options.KnowsUnoptimising);

    public override string ToString() => $"{Name} at {Address}: {State.Value}, {Hits.Value} hits";
}

/// <summary>What a probe's memory holds for the handler.</summary>
/// <param name="Target">Where a CPU that hit INT3 goes on: at a copy of the instruction that the INT3 stands on.</param>
public readonly record struct KprobeCode(GuestAddress Target)
{
    public static KprobeCode Poison { get; } = new(new(KernelHeap.PoisonFree * 0x0101010101010101UL));

    public override string ToString() => $"goes on at {Target}";
}
