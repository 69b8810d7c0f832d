using System.Runtime.CompilerServices;
using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// JMP through a far pointer in memory, which <see cref="Jump"/> hands over. The selector is to be Linux's for code of the same privilege
/// (<see cref="CodeSegment"/>). It is rare, so it is always done the careful way.
/// </summary>
internal static unsafe class FarJump
{
    public static bool TryBuild(OpBuilder builder)
    {
        if (WidthOf(builder.Instruction.Code) is not { } width) return false;
        builder.Address();
        if (builder.IsCareful) builder.Use(typeof(FarJump), nameof(Through), width);
        else builder.Use(typeof(Leave), nameof(Leave.ForCare));
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Through<TWidth>(CpuState* cpu, Op* op, byte* memory, long budget)
        where TWidth : struct, IWidth
    {
        if (!CarefulAccess.OpenForRead(cpu, AnyAddress.Of(cpu, op), TWidth.Bytes + 2, (op->Scale & AnyAddress.StackSegment) != 0))
        {
            Leave.Trapped(cpu, op, memory, budget);
            return;
        }

        var target = TWidth.Read((byte*)cpu->LoadBounce);
        var selector = *(ushort*)((byte*)cpu->LoadBounce + TWidth.Bytes);
        if (!CodeSegment.AdmitsJump(cpu, selector))
        {
            Leave.Trapped(cpu, op, memory, budget);
            return;
        }

        Leave.ToTarget(cpu, op, target, budget);
    }

    private static Type? WidthOf(Code code) => code switch
    {
        Code.Jmp_m1616 => typeof(Bits16),
        Code.Jmp_m1632 => typeof(Bits32),
        Code.Jmp_m1664 => typeof(Bits64),
        _ => null,
    };
}
