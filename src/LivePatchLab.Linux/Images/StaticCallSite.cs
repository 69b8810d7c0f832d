using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>An entry of static_call_sites (struct static_call_site, include/linux/static_call_types.h).</summary>
/// <param name="Address">A five-byte CALL, or JMP where the call is the last thing its function does.</param>
/// <param name="IsTailCall">True for the JMP (STATIC_CALL_SITE_TAIL).</param>
/// <param name="Key">The static_call_key; 0 where the table was read from text.</param>
/// <param name="KeyName">The key's symbol, __SCK__name.</param>
public readonly record struct StaticCallSite(GuestAddress Address, bool IsTailCall, GuestAddress Key, string KeyName)
{
    public const int Length = 5;
}
