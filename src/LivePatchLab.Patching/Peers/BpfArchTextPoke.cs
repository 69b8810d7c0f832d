using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// B1, how BPF patches: bpf_arch_text_poke() of arch/x86/net/bpf_jit_comp.c. The caller says what it believes to be there; only when that is so is
/// the instruction changed, by text_poke_bp(). So an answer that nobody looks at becomes, at the next change, a belief that is wrong (B28).
/// </summary>
/// <remarks>
///   caller                                what it gets
///   outside the text                      -EINVAL
///   neither old nor new there             -EBUSY
///   new there already                     1
///   else text_poke_bp                     0
/// An ENDBR at the address stays in front of what is patched. The original takes text_mutex itself; here the caller holds it, as for every protocol.
/// </remarks>
/// <param name="textPoke">The protocol that changes the instruction.</param>
/// <param name="isText">What is_kernel_text() and is_bpf_text_address() know; null for every page that may be executed.</param>
[KernelName("bpf_arch_text_poke", File = "arch/x86/net/bpf_jit_comp.c", Version = "v6.1")]
public sealed class BpfArchTextPoke(IPatchProtocol textPoke, Func<SmpMachine, GuestAddress, bool>? isText = null) : IPatchProtocol
{
    public const string PhaseChecking = "comparing with the expected code";

    /// <summary>The answer where the instruction is already as it should be.</summary>
    public const int AlreadyNew = 1;

    private static ReadOnlySpan<byte> Endbr64 => [0xf3, 0x0f, 0x1e, 0xfa];

    public string Name => "bpf_arch_text_poke";

    public string Summary => $"B1, Linux 5.5 and later: checks what the caller believes to be there, then {textPoke.Name}, site by site";

    public bool MaySkip => textPoke.MaySkip;

    public Invariants PromisesUnder(FetchModel model) => textPoke.PromisesUnder(model);

    public IPatcher Attach(LinuxKernel kernel) => new Patcher(textPoke.Attach(kernel), isText ?? IsExecutable);

    private static bool IsExecutable(SmpMachine machine, GuestAddress address) => machine.Memory.PermissionsAt(address)?.HasFlag(PagePermissions.Execute) == true;

    /// <summary>B1 in one kernel.</summary>
    public sealed class Patcher : IPatcher
    {
        private readonly IPatcher _textPoke;
        private readonly Func<SmpMachine, GuestAddress, bool> _isText;

        internal Patcher(IPatcher textPoke, Func<SmpMachine, GuestAddress, bool> isText) => (_textPoke, _isText) = (textPoke, isText);

        public IEnumerable<KernelStep> Apply(PatchContext kernel, IReadOnlyList<PatchSite> sites)
        {
            var done = 0;
            foreach (var site in sites)
            {
                yield return kernel.NextRecord();
                if (site.NewCode is not null)
                {
                    var answer = 0;
                    yield return KernelStep.Call(Poke(kernel, site.Address, site.OldCode, site.NewCode, a => answer = a));
                    if (kernel.Kernel.Bug is not null) yield break;
                    if (answer < 0)
                    {
                        kernel.Failure ??= new(answer, PhaseChecking, done, site.Address, Recovered: true);
                        yield break;
                    }
                }

                site.IsFinished = true;
                done++;
            }
        }

        /// <summary>One change.</summary>
        /// <param name="kernel">Where it runs; text_mutex is held.</param>
        /// <param name="ip">The instruction, or the ENDBR in front of it.</param>
        /// <param name="oldCode">What the caller believes to be there.</param>
        /// <param name="newCode">What shall be there; as long.</param>
        /// <param name="answer">Receives 0, <see cref="AlreadyNew"/>, or a negative error number.</param>
        public IEnumerable<KernelStep> Poke(PatchContext kernel, GuestAddress ip, byte[] oldCode, byte[] newCode, Action<int> answer)
        {
            if (!_isText(kernel.Kernel.Machine, ip))
            {
                answer(Errno.Einval);
                yield break;
            }

            var prologue = kernel.ProbeKernelRead(ip, Endbr64.Length);
            yield return prologue;
            if (prologue.Error == 0 && prologue.Bytes.SequenceEqual(Endbr64)) ip += Endbr64.Length;

            kernel.TextMutex.AssertHeld();
            var actual = kernel.ProbeKernelRead(ip, oldCode.Length);
            yield return actual;
            var isOld = actual.Error == 0 && actual.Bytes.SequenceEqual(oldCode);
            var isNew = actual.Error == 0 && actual.Bytes.SequenceEqual(newCode);
            if (isNew || !isOld)
            {
                answer(actual.Error != 0 ? actual.Error : isNew ? AlreadyNew : Errno.Ebusy);
                yield break;
            }

            yield return KernelStep.Call(_textPoke.Apply(kernel, [new(ip, oldCode, newCode)]));
            answer(kernel.Failure?.Errno ?? 0);
        }
    }
}
