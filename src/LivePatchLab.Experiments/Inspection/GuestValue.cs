using System.Globalization;
using LivePatchLab.Machine;

namespace LivePatchLab.Experiments;

/// <summary>A 64-bit value of the guest's, and what it points to if it is an address.</summary>
/// <param name="Value">The bits.</param>
/// <param name="Name">"name" or "name+0x12" where the machine knows that address, or null.</param>
public readonly record struct GuestValue(ulong Value, string? Name)
{
    public static implicit operator ulong(GuestValue value) => value.Value;

    public static implicit operator GuestAddress(GuestValue value) => new(value.Value);

    /// <summary>Hexadecimal, decimal as a signed number, and the name.</summary>
    public override string ToString()
        => string.Create(CultureInfo.InvariantCulture, $"0x{Value:x} = {unchecked((long)Value)}{(Name is null ? "" : $" = {Name}")}");

    internal static GuestValue Of(SmpMachine machine, ulong value) => new(value, machine.CodeMap?.NameOf(new(value)));
}
