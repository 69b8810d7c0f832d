using System.Numerics;
using Iced.Intel;

namespace LivePatchLab.Machine.Tests;

/// <summary>Whether a division must end in #DE, by plain arithmetic.</summary>
internal static class DivisionReference
{
    /// <summary>For a case of one DIV or IDIV alone.</summary>
    public static bool Overflows(OracleCase oracleCase)
    {
        var instruction = oracleCase.Instructions.ShouldHaveSingleItem();
        var isSigned = instruction.Mnemonic == Mnemonic.Idiv;
        if (!isSigned) instruction.Mnemonic.ShouldBe(Mnemonic.Div);
        var bits = 8 * (instruction.Op0Kind == OpKind.Memory ? instruction.MemorySize.GetSize() : instruction.Op0Register.GetSize());
        var divisor = Number(Divisor(oracleCase, instruction), bits, isSigned);
        if (divisor.IsZero) return true;
        ulong low = oracleCase.Registers[Gpr.Rax], high = oracleCase.Registers[Gpr.Rdx];
        var dividend = bits == 8 ? Number(low, 16, isSigned) : (Number(high, bits, isSigned) << bits) + Number(low, bits, isSigned: false);
        var quotient = BigInteger.Divide(dividend, divisor);
        var limit = BigInteger.One << (isSigned ? bits - 1 : bits);
        return quotient >= limit || (isSigned ? quotient < -limit : quotient.Sign < 0);
    }

    private static BigInteger Divisor(OracleCase oracleCase, in Instruction instruction)
    {
        if (instruction.Op0Kind == OpKind.Memory) return oracleCase.WordAt(oracleCase.OperandAddress);
        var register = instruction.Op0Register;
        return register is >= Register.AH and <= Register.BH
            ? oracleCase.Registers[register - Register.AH] >> 8
            : oracleCase.Registers[register.GetFullRegister() - Register.RAX];
    }

    private static BigInteger Number(BigInteger value, int bits, bool isSigned)
    {
        var one = BigInteger.One << bits;
        var low = value & (one - 1);
        return isSigned && low >= one / 2 ? low - one : low;
    }
}
