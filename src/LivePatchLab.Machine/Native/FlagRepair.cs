using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// Writes what puts flags right that the host left otherwise than the lab has them. They are taken out by LAHF and SETO, changed, and put back by
/// ADD (0x7f + 1 overflows) and SAHF, with RAX in the scratch register meanwhile; nothing else is changed.
/// </summary>
internal static unsafe class FlagRepair
{
    /// <summary>Keeps the count of a shift by CL, which is about to run, for what stands behind it.</summary>
    public static void KeepCount(NativeEmitter emitter)
    {
        emitter.Bytes(0x88);                                                      // mov [frame], cl
        emitter.FrameOperand(NativeEmitter.Rcx, NativeFrame.ShiftCount);
    }

    public static void WriteZero(NativeEmitter emitter, ZeroedFlags zeroed)
    {
        TakeOut(emitter, keepsOverflow: (zeroed.Always & RflagsBits.OF) == RflagsBits.None);
        if (zeroed.IsConditional)
        {
            var toEnd = JumpUnlessCounted(emitter, zeroed.CountMask);
            if (zeroed.Counted != RflagsBits.None) AndAh(emitter, zeroed.Counted);
            if (zeroed.CountedTwice != RflagsBits.None)
            {
                var toEndOfOne = JumpUnlessCounted(emitter, (byte)(zeroed.CountMask & ~1));
                if ((zeroed.CountedTwice & ~RflagsBits.OF) != RflagsBits.None) throw new InvalidOperationException($"only OF depends on a count of 1, not {zeroed.CountedTwice}");
                emitter.Bytes(0xb0, 0x00);                                        // mov al, 0
                emitter.LandShort(toEndOfOne);
            }

            emitter.LandShort(toEnd);
        }

        // Also for what it does to OF.
        if (zeroed.Always != RflagsBits.None) AndAh(emitter, zeroed.Always);
        PutBack(emitter, setsOverflow: (zeroed.Always & RflagsBits.OF) == RflagsBits.None);
    }

    /// <summary>The contrary, for a host that differs in all of them: what the lab has 0 is set, each flag under its condition, and others are turned over.</summary>
    public static void WriteContrary(NativeEmitter emitter, ZeroedFlags zeroed, RflagsBits others)
    {
        TakeOut(emitter, keepsOverflow: true);
        if (zeroed.IsConditional)
        {
            var toEnd = JumpUnlessCounted(emitter, zeroed.CountMask);
            Set(emitter, zeroed.Counted);
            var toEndOfOne = JumpUnlessCounted(emitter, (byte)(zeroed.CountMask & ~1));
            Set(emitter, zeroed.CountedTwice);
            emitter.LandShort(toEndOfOne);
            emitter.LandShort(toEnd);
        }

        Set(emitter, zeroed.Always);
        TurnOver(emitter, others);
        PutBack(emitter, setsOverflow: true);
    }

    private static void TakeOut(NativeEmitter emitter, bool keepsOverflow)
    {
        emitter.MoveRegister(NativeEmitter.Scratch, NativeEmitter.Rax);
        emitter.Bytes(0x9f);                                                      // lahf
        if (keepsOverflow) emitter.Bytes(0x0f, 0x90, 0xc0);                       // seto al
    }

    // The AND before it has left OF 0 where nothing sets it.
    private static void PutBack(NativeEmitter emitter, bool setsOverflow)
    {
        if (setsOverflow) emitter.Bytes(0x04, 0x7f);                              // add al, 7fh
        emitter.Bytes(0x9e);                                                      // sahf
        emitter.MoveRegister(NativeEmitter.Rax, NativeEmitter.Scratch);
    }

    private static byte* JumpUnlessCounted(NativeEmitter emitter, byte mask)
    {
        emitter.Bytes(0xf6);                                                      // test byte [frame], mask
        emitter.FrameOperand(0, NativeFrame.ShiftCount);
        emitter.Bytes(mask, 0x74, 0);                                             // jz
        return emitter.At;
    }

    private static void AndAh(NativeEmitter emitter, RflagsBits zeroed) => emitter.Bytes(0x80, 0xe4, (byte)~LazyFlags.OfBits(zeroed & ~RflagsBits.OF)); // and ah, mask

    private static void Set(NativeEmitter emitter, RflagsBits flags)
    {
        var bits = (byte)LazyFlags.OfBits(flags & ~RflagsBits.OF);
        if (bits != 0) emitter.Bytes(0x80, 0xcc, bits);                           // or ah, bits
        if ((flags & RflagsBits.OF) != RflagsBits.None) emitter.Bytes(0xb0, 0x01); // mov al, 1
    }

    private static void TurnOver(NativeEmitter emitter, RflagsBits flags)
    {
        var bits = (byte)LazyFlags.OfBits(flags & ~RflagsBits.OF);
        if (bits != 0) emitter.Bytes(0x80, 0xf4, bits);                           // xor ah, bits
        if ((flags & RflagsBits.OF) != RflagsBits.None) emitter.Bytes(0x34, 0x01); // xor al, 1
    }
}
