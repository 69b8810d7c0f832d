using Iced.Intel;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>Finds functions of a real kernel that any CPU may call at any time, with any registers and nothing but a stack.</summary>
public static class LeafFunctions
{
    /// <summary>What a leaf may use: integer work that cannot fault. No division (#DE), no stack but for the return.</summary>
    private static readonly HashSet<Mnemonic> Harmless =
    [
        Mnemonic.Mov, Mnemonic.Movzx, Mnemonic.Movsx, Mnemonic.Movsxd, Mnemonic.Lea, Mnemonic.Xchg, Mnemonic.Bswap, Mnemonic.Nop,
        Mnemonic.Add, Mnemonic.Adc, Mnemonic.Sub, Mnemonic.Sbb, Mnemonic.Inc, Mnemonic.Dec, Mnemonic.Neg, Mnemonic.Mul, Mnemonic.Imul,
        Mnemonic.And, Mnemonic.Or, Mnemonic.Xor, Mnemonic.Not, Mnemonic.Test, Mnemonic.Cmp, Mnemonic.Cdq, Mnemonic.Cqo, Mnemonic.Cdqe, Mnemonic.Cwde,
        Mnemonic.Shl, Mnemonic.Shr, Mnemonic.Sar, Mnemonic.Rol, Mnemonic.Ror, Mnemonic.Rcl, Mnemonic.Rcr, Mnemonic.Shld, Mnemonic.Shrd,
        Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Btr, Mnemonic.Btc, Mnemonic.Bsf, Mnemonic.Bsr, Mnemonic.Tzcnt, Mnemonic.Lzcnt, Mnemonic.Popcnt,
    ];

    /// <summary>The leaves among the sites that tracing enables, ascending.</summary>
    public static IReadOnlyList<LeafFunction> Find(KernelImage image)
    {
        var returnThunk = image.Symbols["__x86_return_thunk"];
        var information = new InstructionInfoFactory();
        var leaves = new List<LeafFunction>();
        foreach (var site in image.SitesForPatching)
        {
            // A site behind endbr64 belongs to a function that starts four bytes before.
            var start = image.Symbols.HasSymbolAt(site.Address) ? site.Address : site.Address - 4;
            var length = LengthOfLeaf(image, start, site.Address, returnThunk, information);
            if (length > 0) leaves.Add(new(start, site.Address, image.Symbols.NameOf(start), length));
        }

        return leaves;
    }

    /// <summary>The function's bytes, 0 where it is no leaf. It ends at the first return that no earlier branch jumps over.</summary>
    private static int LengthOfLeaf(KernelImage image, GuestAddress start, GuestAddress site, GuestAddress? returnThunk, InstructionInfoFactory information)
    {
        var end = image.Symbols.NextAfter(start) ?? start;
        if (!image.Elf.TryBytesAt(start, (int)Math.Min(end - start, GuestMemory.PageBytes), out var bytes)) return 0;
        var body = site + FtraceSite.Length;
        if (bytes.Length <= body - start) return 0;

        var decoder = Decoder.Create(64, bytes[(int)(body - start)..].ToArray(), body.Value);
        var furthestTarget = body.Value;
        while (decoder.IP < start.Value + (ulong)bytes.Length)
        {
            var instruction = decoder.Decode();
            if (instruction.IsInvalid) return 0;
            if (IsReturn(instruction, returnThunk))
            {
                if (instruction.NextIP > furthestTarget) return (int)(instruction.NextIP - start.Value);
            }
            else if (instruction.IsJccShortOrNear || instruction.IsJmpShortOrNear)
            {
                var target = instruction.NearBranchTarget;
                if (target < instruction.NextIP || target >= start.Value + (ulong)bytes.Length) return 0;
                furthestTarget = Math.Max(furthestTarget, target);
            }
            else if (!IsHarmless(instruction, information))
            {
                return 0;
            }
        }

        return 0;
    }

    private static bool IsReturn(in Instruction instruction, GuestAddress? returnThunk)
        => instruction.Code == Code.Retnq
            || (instruction.IsJmpShortOrNear && returnThunk is { } thunk && instruction.NearBranchTarget == thunk.Value);

    private static bool IsHarmless(in Instruction instruction, InstructionInfoFactory information)
    {
        // Of what has a condition and goes on behind itself there are CMOVcc and SETcc.
        var isConditional = instruction.ConditionCode != ConditionCode.None && instruction.FlowControl == FlowControl.Next;
        if (!isConditional && !Harmless.Contains(instruction.Mnemonic)) return false;
        ref readonly var info = ref information.GetInfo(instruction);
        foreach (var _ in info.GetUsedMemory()) return false;
        foreach (var used in info.GetUsedRegisters())
        {
            // A segment, control or debug register is no integer work; a leaf that moves the stack pointer does not return where it should.
            var register = used.Register.GetFullRegister();
            if (!register.IsGPR64() || (register == Register.RSP && used.Access != OpAccess.Read)) return false;
        }

        return true;
    }
}
