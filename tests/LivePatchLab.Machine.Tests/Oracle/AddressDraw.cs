using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// Draws memory operands of all the shapes that there are: base, index, scale and displacement, 32-bit addresses, RIP-relative and absolute ones,
/// FS and GS. The registers of a case get the values that make the operand land in its data or on its stack.
/// </summary>
internal sealed class AddressDraw(Draw draw, OracleCase oracleCase, bool[] isFixed) : IAddresses
{
    /// <summary>Where the operand is, once it has been drawn.</summary>
    public ulong Target { get; private set; }

    /// <summary>A register whose value nothing depends on yet; -1 when there is none.</summary>
    public int FreeRegister()
    {
        var first = draw.Below(16);
        for (var i = 0; i < 16; i++)
            if (!isFixed[(first + i) % 16]) return (first + i) % 16;
        return -1;
    }

    public bool TryFix(int register, ulong value)
    {
        if (isFixed[register]) return false;
        isFixed[register] = true;
        oracleCase.Registers[register] = value;
        return true;
    }

    /// <summary>Fills in an operand of <paramref name="bytes"/> bytes; false when the registers are all spoken for.</summary>
    /// <param name="instruction">Gets the operand.</param>
    /// <param name="bytes">Of the operand; one of 16 is aligned, as CMPXCHG16B demands.</param>
    /// <param name="margin">How many bytes around the operand the instruction may touch as well.</param>
    public bool TryDraw(ref Instruction instruction, int bytes, int margin)
    {
        const int HalfWindow = HostProcessor.WindowBytes / 2;
        instruction.MemoryIndexScale = 1;
        if (margin == 0 && bytes < 16 && draw.OneIn(10)) return FromStackPointer(ref instruction);
        var reach = HalfWindow - margin - bytes;
        Target = oracleCase.Data.Value + (ulong)(long)(draw.OneIn(3) ? -draw.Below(Math.Min(bytes, 16) + 1) : draw.Below(2 * reach) - reach);
        if (bytes == 16) Target &= ~15UL;
        return draw.Below(8) switch
        {
            0 => Narrow(ref instruction),
            1 => RipRelative(ref instruction),
            2 => Absolute(ref instruction),
            _ => Wide(ref instruction),
        };
    }

    /// <summary>[base + index * scale + displacement], under FS, GS or neither.</summary>
    private bool Wide(ref Instruction instruction)
    {
        var baseNumber = FreeRegister();
        if (baseNumber < 0) return false;
        isFixed[baseNumber] = true;
        instruction.MemoryBase = Register.RAX + baseNumber;
        var displacement = draw.OneIn(3) ? 0 : draw.OneIn(2) ? draw.Below(256) - 128 : draw.Below(1 << 30) - (1 << 29);
        SetDisplacement(ref instruction, displacement, displacement == 0 ? 0 : displacement is >= -128 and < 128 ? 1 : 8);
        var offset = (ulong)(long)displacement + SetIndex(ref instruction, Register.RAX);
        var segment = draw.Below(8) switch { 0 => Register.FS, 1 => Register.GS, _ => Register.None };
        if (segment != Register.None) instruction.SegmentPrefix = segment;
        oracleCase.Registers[baseNumber] = Target - offset - (segment == Register.FS ? HostProcessor.FsBase : segment == Register.GS ? HostProcessor.GsBase : 0);
        return true;
    }

    /// <summary>The same in 32 bits. The upper halves of the registers do not count.</summary>
    private bool Narrow(ref Instruction instruction)
    {
        var baseNumber = FreeRegister();
        if (baseNumber < 0) return false;
        isFixed[baseNumber] = true;
        instruction.MemoryBase = Register.EAX + baseNumber;
        var displacement = draw.OneIn(2) ? draw.Below(256) - 128 : draw.Below(1 << 30) - (1 << 29);
        SetDisplacement(ref instruction, (uint)displacement, displacement is >= -128 and < 128 ? 1 : 4);
        var offset = (ulong)(long)displacement + SetIndex(ref instruction, Register.EAX);
        var hasSegment = Target >= HostProcessor.GsBase && draw.OneIn(4);
        if (hasSegment) instruction.SegmentPrefix = Register.GS;
        oracleCase.Registers[baseNumber] = (uint)(Target - offset - (hasSegment ? HostProcessor.GsBase : 0)) | (draw.Bits64() << 32);
        return true;
    }

    private bool RipRelative(ref Instruction instruction)
    {
        instruction.MemoryBase = draw.OneIn(6) ? Register.EIP : Register.RIP;
        SetDisplacement(ref instruction, (long)Target, instruction.MemoryBase == Register.EIP ? 4 : 8);
        return true;
    }

    /// <summary>[displacement], or with an index and no base.</summary>
    private bool Absolute(ref Instruction instruction)
    {
        if (draw.OneIn(2))
        {
            SetDisplacement(ref instruction, (long)Target, draw.OneIn(4) ? 4 : 8);
            return true;
        }

        var index = FreeRegister();
        if (index is < 0 or Gpr.Rsp) return false;
        isFixed[index] = true;
        var scale = draw.Below(4);
        instruction.MemoryIndex = Register.RAX + index;
        instruction.MemoryIndexScale = 1 << scale;
        oracleCase.Registers[index] = ((ulong)draw.Below(4096) << draw.Below(12)) - 2048;
        var displacement = (long)(Target - (oracleCase.Registers[index] << scale));
        if (displacement != (int)displacement) return false;
        SetDisplacement(ref instruction, displacement, 8);
        return true;
    }

    /// <summary>[RSP + displacement], whose segment is that of the stack.</summary>
    private bool FromStackPointer(ref Instruction instruction)
    {
        var displacement = draw.Below(100);
        instruction.MemoryBase = Register.RSP;
        SetDisplacement(ref instruction, displacement, displacement == 0 ? 0 : 1);
        Target = oracleCase.Registers[Gpr.Rsp] + (ulong)displacement;
        return true;
    }

    private ulong SetIndex(ref Instruction instruction, Register first)
    {
        var number = draw.OneIn(2) ? FreeRegister() : -1;
        if (number is < 0 or Gpr.Rsp) return 0;
        isFixed[number] = true;
        oracleCase.Registers[number] = draw.Interesting();
        instruction.MemoryIndex = first + number;
        instruction.MemoryIndexScale = 1 << draw.Below(4);
        return oracleCase.Registers[number] * (ulong)instruction.MemoryIndexScale;
    }

    private static void SetDisplacement(ref Instruction instruction, long displacement, int size)
    {
        instruction.MemoryDisplacement64 = (ulong)displacement;
        instruction.MemoryDisplSize = size;
    }
}
