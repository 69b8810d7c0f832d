using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>
/// The instructions of one kind: which they are, how one is turned into an operation, and (as static methods of the same class)
/// the handlers that do it.
/// </summary>
internal abstract class InstructionFamily
{
    /// <summary>What this family implements. No other family names any of these.</summary>
    public abstract IReadOnlyList<Mnemonic> Mnemonics { get; }

    /// <summary>Fills in the operation; false for a form that is not implemented, which then is #UD.</summary>
    public abstract bool TryBuild(OpBuilder builder);

    /// <summary>Fills in one operation that does the instruction and the conditional branch behind it; false when there is none.</summary>
    public virtual bool TryBuildWithBranch(OpBuilder builder, Type condition) => false;

    /// <summary>
    /// True when the instruction may end a run: by a fault, a trap or an exit. All flags can be seen then, so those set before it
    /// must be there.
    /// </summary>
    public virtual bool MayLeave(in Instruction instruction)
    {
        for (var i = 0; i < instruction.OpCount; i++)
            if (instruction.GetOpKind(i) == OpKind.Memory) return true;
        return instruction.IsStackInstruction;
    }

    /// <summary>The flags that the SDM leaves undefined behind it and that the family's handlers make 0.</summary>
    public virtual ZeroedFlags Zeroed(in Instruction instruction) => new(instruction.RflagsUndefined);

    /// <summary>The flags that it sets or clears, if only for some operands; all others come out as they were.</summary>
    public virtual RflagsBits Writes(in Instruction instruction) => instruction.RflagsModified;

    /// <summary>The flags that come out the same whatever they were before, so that earlier settings of them are never seen.</summary>
    public virtual RflagsBits Overwrites(in Instruction instruction) => instruction.RflagsModified & ~instruction.RflagsUndefined;
}
