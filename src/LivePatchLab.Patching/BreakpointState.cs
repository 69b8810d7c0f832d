using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching;

/// <summary>
/// The global variables that text_poke_bp() and text_poke_bp_list() share, and the #BP handler that reads them: the seed's
/// bp_int3, bp_patching_in_progress, bp_int3_handler, bp_int3_addr, bp_int3_len and bp_int3_is_handled.
/// </summary>
public sealed class BreakpointState : IKernelGlobals
{
    public const byte Int3 = 0xcc;

    private readonly KernelStep _beginPatching;
    private readonly KernelStep _endPatching;

    private readonly Int3Handler _handleInt3;

    private BreakpointState()
    {
        _beginPatching = PatchingInProgress.Store(true);
        _endPatching = PatchingInProgress.Store(false);
        _handleInt3 = PokeInt3Handler.For(this);
    }

    /// <summary>The one byte that is written over the first of an instruction.</summary>
    public static ReadOnlyMemory<byte> Int3Opcode { get; } = new byte[] { Int3 };

    public KernelVariable<bool> PatchingInProgress { get; } = new("bp_patching_in_progress", false);

    /// <summary>Where a trap at <see cref="Address"/> is sent; null for a list.</summary>
    public KernelVariable<GuestAddress?> Handler { get; } = new("bp_int3_handler", null);

    /// <summary>The address behind the INT3 of a single site, as regs.ip holds it.</summary>
    public KernelVariable<GuestAddress?> Address { get; } = new("bp_int3_addr", null);

    public KernelVariable<int> Length { get; } = new("bp_int3_len", 0);

    /// <summary>Whether an address behind an INT3 belongs to the list that is being patched; null for a single site.</summary>
    public KernelVariable<Func<GuestAddress, bool>?> IsHandled { get; } = new("bp_int3_is_handled", null);

    /// <summary>How many comparisons <see cref="IsHandled"/> makes; what the handler's look-up costs.</summary>
    public int LookupComparisons { get; set; } = 1;

    /// <summary>A kernel's own: both functions work on the same variables, and one #BP handler reads them.</summary>
    public static BreakpointState In(LinuxKernel kernel) => kernel.Globals(static _ => new BreakpointState());

    public void Boot(LinuxKernel kernel)
    {
        PatchingInProgress.Restart();
        Handler.Restart();
        Address.Restart();
        Length.Restart();
        IsHandled.Restart();
        LookupComparisons = 1;
        kernel.RegisterInt3Handler(_handleInt3);
    }

    /// <summary>The globals of a single site, before anything is written.</summary>
    public IEnumerable<KernelStep> PublishSite(GuestAddress site, int length, GuestAddress handler) => new SitePublication(this).At(site, length, handler);

    /// <summary>The globals of a list, before anything is written.</summary>
    public IEnumerable<KernelStep> PublishList(int length, Func<GuestAddress, bool> isHandled)
    {
        yield return Address.Store(null);
        yield return Length.Store(length);
        yield return Handler.Store(null);
        yield return IsHandled.Store(isHandled);
        yield return _beginPatching;
    }

    /// <summary>Nothing is being patched any more.</summary>
    public KernelStep Retract() => _endPatching;

    /// <summary>The same few steps for one site after the other: whoever yields them sets them anew once they are done.</summary>
    internal sealed class SitePublication(BreakpointState state)
    {
        private readonly StoreVariable<GuestAddress?> _handler = state.Handler.Store(null);
        private readonly StoreVariable<GuestAddress?> _address = state.Address.Store(null);
        private readonly StoreVariable<int> _length = state.Length.Store(0);

        public KernelStep[] Steps => field ??= [_handler, _address, _length, state.IsHandled.Store(null), state._beginPatching];

        public KernelStep[] At(GuestAddress site, int length, GuestAddress handler)
        {
            (_handler.Value, _address.Value, _length.Value) = (handler, site + 1, length);
            return Steps;
        }
    }
}
