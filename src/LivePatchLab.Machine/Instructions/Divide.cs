using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>DIV and IDIV. All status flags are undefined behind a quotient, and 0 here; #DE leaves them as they were.</summary>
internal sealed unsafe class Divide : InstructionFamily
{
    public override IReadOnlyList<Mnemonic> Mnemonics { get; } = [Mnemonic.Div, Mnemonic.Idiv];

    public override bool TryBuild(OpBuilder builder)
    {
        if (builder.Operand(0) is not { } source) return false;
        builder.Use(typeof(Divide), builder.Instruction.Mnemonic == Mnemonic.Div ? nameof(Unsigned) : nameof(Signed), builder.Width(0), source);
        return true;
    }

    public override bool MayLeave(in Instruction instruction) => true;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unsigned<TWidth, TSource>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TSource : struct, IOperand
    {
        var address = TSource.Locate(cpu, op);
        if (!TSource.OpensForRead(cpu, op, address, TWidth.Bytes))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        if (!TryUnsigned<TWidth>(cpu, TWidth.Read(TSource.Readable(cpu, op, memory, address))))
        {
            WithDivideError(cpu, op, memory, budget);
            return;
        }

        LazyFlags.SetBits(cpu, 0);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Signed<TWidth, TSource>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
        where TSource : struct, IOperand
    {
        var address = TSource.Locate(cpu, op);
        if (!TSource.OpensForRead(cpu, op, address, TWidth.Bytes))
        {
            TSource.Refuse(cpu, op, memory, budget);
            return;
        }

        if (!TrySigned<TWidth>(cpu, TWidth.SignExtend(TWidth.Read(TSource.Readable(cpu, op, memory, address)))))
        {
            WithDivideError(cpu, op, memory, budget);
            return;
        }

        LazyFlags.SetBits(cpu, 0);
        ((Handler)op[1].Handler)(cpu, op + 1, memory, budget);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void WithDivideError(CpuState* cpu, Op* op, byte* memory, long budget)
    {
        Traps.Record(cpu, Traps.DivideError);
        Leave.Trapped(cpu, op, memory, budget);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryUnsigned<TWidth>(CpuState* cpu, ulong divisor) where TWidth : struct, IWidth
    {
        if (divisor == 0) return false;
        ulong low = cpu->Registers[Gpr.Rax], high = cpu->Registers[Gpr.Rdx];
        if (TWidth.Bits == 64 && high != 0)
        {
            var wide = new UInt128(high, low);
            if (high >= divisor) return false;
            cpu->Registers[Gpr.Rax] = (ulong)(wide / divisor);
            cpu->Registers[Gpr.Rdx] = (ulong)(wide % divisor);
            return true;
        }

        var dividend = Dividend<TWidth>(low, high);
        var quotient = dividend / divisor;
        if (TWidth.ZeroExtend(quotient) != quotient) return false;
        Write<TWidth>(cpu, quotient, dividend % divisor);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TrySigned<TWidth>(CpuState* cpu, long divisor) where TWidth : struct, IWidth
    {
        if (divisor == 0) return false;
        ulong low = cpu->Registers[Gpr.Rax], high = cpu->Registers[Gpr.Rdx];
        if (TWidth.Bits == 64 && (high != (ulong)((long)low >> 63) || divisor == -1))
        {
            var wide = new Int128(high, low);

            // The one quotient that Int128 itself cannot hold is far out of 64 bits too.
            if (divisor == -1 && wide == Int128.MinValue) return false;
            var wideQuotient = wide / divisor;
            if (wideQuotient != (long)wideQuotient) return false;
            cpu->Registers[Gpr.Rax] = (ulong)(long)wideQuotient;
            cpu->Registers[Gpr.Rdx] = (ulong)(long)(wide % divisor);
            return true;
        }

        var dividend = TWidth.Bits switch
        {
            8 => (short)low,
            16 => (int)Dividend<TWidth>(low, high),
            _ => (long)Dividend<TWidth>(low, high),
        };
        if (divisor == -1 && dividend == long.MinValue) return false;
        var quotient = dividend / divisor;
        if (TWidth.SignExtend((ulong)quotient) != quotient) return false;
        Write<TWidth>(cpu, (ulong)quotient, (ulong)(dividend % divisor));
        return true;
    }

    private static ulong Dividend<TWidth>(ulong low, ulong high) where TWidth : struct, IWidth => TWidth.Bits switch
    {
        8 => (ushort)low,
        16 => (ushort)low | ((ulong)(ushort)high << 16),
        32 => (uint)low | (high << 32),
        _ => low,
    };

    private static void Write<TWidth>(CpuState* cpu, ulong quotient, ulong remainder) where TWidth : struct, IWidth
    {
        var accumulator = (byte*)&cpu->Registers[Gpr.Rax];
        if (TWidth.Bits == 8)
        {
            Bits16.Write(accumulator, (byte)quotient | ((ulong)(byte)remainder << 8));
            return;
        }

        TWidth.WriteRegister(accumulator, quotient);
        TWidth.WriteRegister((byte*)&cpu->Registers[Gpr.Rdx], remainder);
    }
}
