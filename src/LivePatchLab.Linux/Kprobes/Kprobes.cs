using System.Collections.Immutable;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>
/// K1, a kernel's probes: INT3 on an instruction that somebody wants to know of, and the handler that counts the hit and has the instruction
/// executed elsewhere. For a patcher it is the stranger: INT3s that are not its own, that come and go while it works.
/// </summary>
/// <remarks>
///   arm                                    any CPU
///   table += probe
///   text[0] = int3; sync                   from here on: traps, counts, executes the copy
///   disarm
///   text[0] = old;  sync                   nobody can trap here any more
///   table -= probe
///   synchronize_rcu; free                  handlers that found the probe are through
/// Not an <c>IPatchProtocol</c>: what stays in the text is an INT3 that must go on being hit, so it promises the opposite of what patching promises.
/// One probe an address: the kernel's aggregation of several is not here.
/// </remarks>
[KernelName("register_kprobe", File = "kernel/kprobes.c", Version = "v6.1")]
public sealed partial class Kprobes
{
    /// <summary>The length of the jump of an optimised probe: DISP32_SIZE + 1.</summary>
    public const int JumpBytes = 5;

    private const byte Int3 = 0xcc;

    /// <summary>Enough for five bytes that end in the longest of instructions.</summary>
    private const int CopiedBytes = JumpBytes - 1 + 15;

    private readonly LinuxKernel _kernel;
    private readonly KprobesOptions _options;
    private readonly KernelLock _mutex;
    private readonly Rcu _rcu;
    private readonly KprobeSlots _slots = new();
    private readonly KernelVariable<ImmutableDictionary<ulong, Kprobe>> _table = new("kprobe_table", ImmutableDictionary<ulong, Kprobe>.Empty);

    /// <param name="kernel">Whose #BPs are asked about, after those who asked before. One set of probes to a kernel.</param>
    /// <param name="options">Which kernel's kprobes; null for mainline's.</param>
    public Kprobes(LinuxKernel kernel, KprobesOptions? options = null)
    {
        _kernel = kernel;
        _options = options ?? KprobesOptions.Mainline;
        _mutex = KernelLocks.In(kernel).KprobeMutex;
        _rcu = Rcu.In(kernel);
        KprobeSlots.Map(kernel.Machine);
        kernel.RegisterInt3Handler(Int3Handler);
    }

    /// <summary>The probes that are registered.</summary>
    public IEnumerable<Kprobe> Registered => _table.Value.Values;

    /// <summary>How often the handler went back to an INT3 that was gone.</summary>
    public long Retries { get; private set; }

    /// <summary>Maps the memory that probes use, for machines whose memory is to be complete before anything runs.</summary>
    public static void MapSlots(SmpMachine machine) => KprobeSlots.Map(machine);

    /// <summary>How often a probe was hit while it was a jump.</summary>
    public long JumpHitsOf(Kprobe probe) => probe.Detour is { } detour ? (long)_kernel.Machine.Memory.ReadUInt64(KprobeSlots.CounterOf(detour.Start)) : 0;

    /// <summary>register_kprobe(): arms a probe. <see cref="Kprobe.Error"/> holds what it returns: 0; -EBUSY where there is a probe; -EFAULT, -EINVAL where there is no instruction.</summary>
    public IEnumerable<KernelStep> Register(Kprobe probe)
    {
        yield return _mutex.Acquire();
        yield return _kernel.TextMutex.Acquire();
        yield return KernelStep.Call(PrepareAndArm(probe));
        yield return _kernel.TextMutex.Release();
        yield return _mutex.Release();
    }

    /// <summary>unregister_kprobe(): disarms a probe, waits until no handler can hold it, and frees it.</summary>
    public IEnumerable<KernelStep> Unregister(Kprobe probe)
    {
        yield return _mutex.Acquire();
        yield return _kernel.TextMutex.Acquire();
        if (probe.State.Value is KprobeState.Optimised or KprobeState.Unoptimising) yield return KernelStep.Call(RemoveJump(probe));
        yield return KernelStep.Call(Poke(probe.Address, [probe.OriginalCode[0]]));
        yield return probe.State.Store(KprobeState.Disarmed);
        yield return _table.Update($"-= {probe.Name}", table => table.Remove(probe.Address.Value));
        yield return _kernel.TextMutex.Release();
        yield return _mutex.Release();
        yield return KernelStep.Call(_rcu.Synchronize());
        yield return probe.Memory.Free();
    }

    /// <summary>
    /// recover_probed_instruction(): what the text is without any probe. Another's INT3 is not known here, and is copied as it stands.
    /// </summary>
    /// <param name="address">From where.</param>
    /// <param name="copy">Receives the bytes.</param>
    /// <param name="setError">Receives 0, or -EFAULT.</param>
    private IEnumerable<KernelStep> CopyUnprobed(GuestAddress address, byte[] copy, Action<int> setError)
    {
        var text = new ProbeKernelRead(_kernel, address, copy.Length);
        yield return text;
        setError(text.Error);
        text.Bytes.CopyTo(copy);
        foreach (var probe in _table.Value.Values)
        {
            var state = probe.State.Load();
            yield return state;
            var length = probe.HasJump(_options) ? JumpBytes : state.Value == KprobeState.Disarmed ? 0 : 1;
            for (var i = 0; i < length; i++)
            {
                var at = probe.Address + i - address;
                if (at >= 0 && at < copy.Length) copy[at] = probe.OriginalCode[i];
            }
        }
    }

    private IEnumerable<KernelStep> PrepareAndArm(Kprobe probe)
    {
        if (_table.Value.ContainsKey(probe.Address.Value))
        {
            probe.Error = Errno.Ebusy;
            yield break;
        }

        var code = new byte[CopiedBytes];
        yield return KernelStep.Call(CopyUnprobed(probe.Address, code, error => probe.Error = error));

        // An INT3 that no probe accounts for is somebody else's: there is no telling what it stands on.
        if (probe.Error == 0 && code[0] == Int3) probe.Error = Errno.Einval;
        if (probe.Error != 0) yield break;

        var slot = _slots.CopyOne(probe.Address, code);
        (probe.OriginalCode, probe.Slot) = (code, slot.Start);
        yield return new ProbeKernelWrite(_kernel, slot.Start, slot.Code, TextMapping.IdentityAlias);
        yield return probe.Memory.Store(new(slot.Start));

        // A probe on the second or third instruction under a jump has the jump removed first.
        foreach (var other in _table.Value.Values)
            if (other.State.Value is KprobeState.Optimised or KprobeState.Unoptimising && probe.Address > other.Address && probe.Address < other.Address + JumpBytes)
                yield return KernelStep.Call(RemoveJump(other));

        yield return _table.Update($"+= {probe.Name}", table => table.Add(probe.Address.Value, probe));
        yield return probe.State.Store(KprobeState.Armed);
        yield return KernelStep.Call(Poke(probe.Address, [Int3]));
    }

    /// <summary>A write of the first byte, with the sync that came with 5c02ece81848.</summary>
    private IEnumerable<KernelStep> Poke(GuestAddress address, byte[] code)
    {
        yield return KernelStep.Call(Write(address, code));
        if (_options.SynchronisesCores) yield return new RunSync(_kernel);
    }

    private IEnumerable<KernelStep> Write(GuestAddress address, byte[] code)
    {
        var poke = new TextPoke(_kernel, address, code);
        yield return poke;
        if (poke.Error != 0) yield return _kernel.RaiseBug($"kprobes: {address} cannot be written");
    }

    /// <summary>kprobe_int3_handler() of arch/x86/kernel/kprobes/core.c. It cannot be preempted, which is a read-side critical section.</summary>
    private IEnumerable<KernelStep> Int3Handler(Cpu cpu, TrapFrame regs)
    {
        yield return _rcu.ReadLock(cpu);
        var address = regs.Rip - 1;
        var table = _table.Load();
        yield return table;
        yield return new Delay(cpu.Machine.Costs.LookupStep, "get_kprobe");
        if (table.Value.TryGetValue(address.Value, out var probe))
        {
            var memory = probe.Memory.Load();
            yield return memory;
            yield return probe.Hits.Update("+ 1", hits => hits + 1);
            regs.Rip = memory.Value.Target;
            regs.Consumed = true;
        }
        else if (_options.RetriesVanished)
        {
            var text = new ProbeKernelRead(_kernel, address, 1);
            yield return text;
            if (text.Error == 0 && text.Bytes[0] != Int3)
            {
                Retries++;
                regs.Rip = address;
                regs.Consumed = true;
            }
        }

        yield return _rcu.ReadUnlock(cpu);
    }
}
