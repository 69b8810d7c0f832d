using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// The BPF dispatcher: a page of code in two halves, of which one is in use while the other is written (kernel/bpf/dispatcher.c). The program's site jumps to the
/// half in use; readers are in an RCU read-side critical section while they are in there.
/// </summary>
/// <remarks>
///   updater                               CPU, inside half 0
///   fill half 1; site: jmp half 1         goes on in half 0
///   [synchronize_rcu]                     waits here until it is out; 4121d4481b72 added this
///   fill half 0; site: jmp half 0         without it: executes what is being written (B26)
/// </remarks>
/// <param name="kernel">Where it lives.</param>
/// <param name="site">The five-byte jump of the dispatcher's function; a nop at first.</param>
/// <param name="image">Where the halves lie; mapped, and executable.</param>
/// <param name="halfBytes">The length of one half.</param>
/// <param name="waitsForReaders">False as it was before the fix.</param>
[KernelName("bpf_dispatcher", File = "include/linux/bpf.h", Version = "v6.1")]
public sealed class BpfDispatcher(PatchContext kernel, GuestAddress site, GuestAddress image, int halfBytes, bool waitsForReaders = true)
{
    private readonly BpfArchTextPoke.Patcher _patcher = (BpfArchTextPoke.Patcher)new BpfArchTextPoke(Protocols.TextPokeBp).Attach(kernel.Kernel);
    private GuestAddress? _current;

    /// <summary>What bpf_arch_text_poke() answered last.</summary>
    public int Answer { get; private set; }

    /// <summary>The half that is in use; null while there is none.</summary>
    public GuestAddress? Current => _current;

    /// <summary>bpf_dispatcher_update(): has the site lead to new code.</summary>
    /// <param name="codeAt">Makes the code for the half at an address; at most a half long.</param>
    [KernelName("bpf_dispatcher_update", File = "kernel/bpf/dispatcher.c", Version = "v6.1")]
    public IEnumerable<KernelStep> Update(Func<GuestAddress, byte[]> codeAt)
    {
        var next = _current == image ? image + halfBytes : image;
        var code = codeAt(next);
        if (code.Length > halfBytes) throw new BadInputException($"a dispatcher's code of {code.Length} bytes: half its image has {halfBytes}");
        var copy = new ProbeKernelWrite(kernel.Kernel, next, code, TextMapping.IdentityAlias);
        yield return copy;
        Answer = copy.Error;
        if (Answer != 0) yield break;

        yield return kernel.TextMutex.Acquire();
        yield return KernelStep.Call(_patcher.Poke(kernel, site, JumpTo(_current), JumpTo(next), answer => Answer = answer));
        yield return kernel.TextMutex.Release();
        if (Answer >= 0) _current = next;
        if (waitsForReaders) yield return KernelStep.Call(Rcu.In(kernel.Kernel).Synchronize());
    }

    private byte[] JumpTo(GuestAddress? target)
    {
        if (target is not { } address) return FtraceRecords.NopReplace();
        var jump = new byte[5];
        jump[0] = 0xe9;
        System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(jump.AsSpan(1), checked((int)(address - (site + jump.Length))));
        return jump;
    }
}
