using System.Buffers.Binary;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration;

/// <summary>The code of a site: calls and jumps of the two functions, and bytes, one behind the other.</summary>
public sealed record LitmusCode(IReadOnlyList<LitmusCodePart> Parts)
{
    /// <summary>The most bytes that a site has.</summary>
    public const int BytesMax = 32;

    public static LitmusCode CallOld { get; } = new([new(LitmusCodePart.Call, false, [])]);

    public static LitmusCode CallNew { get; } = new([new(LitmusCodePart.Call, true, [])]);

    public int Length { get; } = Parts.Sum(part => part.Length);

    /// <summary>True when a CPU can be between two instructions of it. Where instructions end does not depend on where the code stands.</summary>
    public bool IsSeveral => InstructionBoundaries.Of(BytesAt(default, _ => default)).Count > 1;

    /// <summary>The bytes.</summary>
    /// <param name="address">Where the code stands.</param>
    /// <param name="targetOf">Where the old function is (false), and the new one (true).</param>
    public byte[] BytesAt(GuestAddress address, Func<bool, GuestAddress> targetOf)
    {
        var bytes = new List<byte>(Length);
        foreach (var part in Parts)
        {
            if (part.Opcode == 0)
            {
                bytes.AddRange(part.Bytes);
                continue;
            }

            var displacement = new byte[4];
            BinaryPrimitives.WriteInt32LittleEndian(displacement, checked((int)(targetOf(part.IsNewFunction) - (address + bytes.Count + part.Length))));
            bytes.AddRange([part.Opcode, .. displacement]);
        }

        return [.. bytes];
    }
}

/// <summary>A call or jump of one of the two functions, whose bytes depend on where it stands, or bytes.</summary>
/// <param name="Opcode">The opcode before a relative target; 0 for bytes.</param>
/// <param name="IsNewFunction">Whether it goes to the new function.</param>
/// <param name="Bytes">The bytes, or empty.</param>
public sealed record LitmusCodePart(byte Opcode, bool IsNewFunction, IReadOnlyList<byte> Bytes)
{
    public const byte Call = 0xe8, Jump = 0xe9;

    public static LitmusCodePart Nop5 { get; } = new(0, false, [0x0f, 0x1f, 0x44, 0x00, 0x00]);

    public int Length => Opcode == 0 ? Bytes.Count : 5;
}
