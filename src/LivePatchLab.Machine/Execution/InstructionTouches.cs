using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>What an instruction does that another CPU might notice.</summary>
[Flags]
internal enum GuestTouches : byte
{
    Nothing = 0,

    /// <summary>Loads from memory that is not its own stack.</summary>
    Reads = 1,

    /// <summary>Stores to memory that is not its own stack.</summary>
    Writes = 2,

    /// <summary>May turn interrupts on or off.</summary>
    InterruptFlag = 4,
}

/// <summary>Works out <see cref="GuestTouches"/> once for each decoded instruction.</summary>
internal static class InstructionTouches
{
    [ThreadStatic]
    private static InstructionInfoFactory? _factory;

    public static GuestTouches Of(in Instruction instruction)
    {
        var touches = (instruction.RflagsModified & RflagsBits.IF) != 0 ? GuestTouches.InterruptFlag : GuestTouches.Nothing;
        foreach (var memory in (_factory ??= new()).GetInfo(instruction).GetUsedMemory())
        {
            // What is addressed by RSP is the code's own stack, which nobody else looks at.
            if (memory.Base is Register.RSP) continue;
            touches |= memory.Access switch
            {
                OpAccess.Read or OpAccess.CondRead => GuestTouches.Reads,
                OpAccess.None or OpAccess.NoMemAccess => GuestTouches.Nothing,
                _ => GuestTouches.Writes,
            };
        }

        return touches;
    }
}
