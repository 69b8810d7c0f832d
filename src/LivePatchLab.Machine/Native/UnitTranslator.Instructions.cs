using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>One guest instruction: what must be asked before it, and which way it is translated.</summary>
internal sealed unsafe partial class UnitTranslator
{
    /// <summary>False, with its host code of no use, where the instruction has no translation with the registers it uses.</summary>
    private bool TryTranslate(ReadOnlySpan<TraceInstruction> trace, int index)
    {
        ref readonly var entry = ref trace[index];
        var instruction = entry.Instruction;
        var refund = RefundAt(index);
        if (!NativeInstructions.IsNothing(instruction)) SettleForReader(instruction);
        foreach (var check in _checks.Before(index)) Ask(check, instruction, refund);
        if (NativeInstructions.IsNothing(instruction)) return true;
        if (instruction.Mnemonic is Mnemonic.Push or Mnemonic.Pop or Mnemonic.Leave or Mnemonic.Call or Mnemonic.Ret or Mnemonic.Jmp) _held = -1;
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Push:
                return TryPush(instruction, refund);
            case Mnemonic.Pop:
                NoteFault(instruction, refund);
                Pop(NativeInstructions.Number(instruction.Op0Register));
                return true;
            case Mnemonic.Leave:
                NoteFault(instruction, refund);
                emitter.Memory(0x8b, NativeEmitter.Scratch, Gpr.Rbp, 0, guest: true);
                emitter.Lea(NativeEmitter.GuestRsp, Gpr.Rbp, 8);
                _stackStep = 0;
                emitter.MoveRegister(Gpr.Rbp, NativeEmitter.Scratch);
                return true;
            case Mnemonic.Call:
                return TryCall(entry, refund);
            case Mnemonic.Ret:
                emitter.StoreFrame(NativeEmitter.Rcx, NativeFrame.Borrowed);
                NoteFault(instruction, refund);
                emitter.Memory(0x8b, NativeEmitter.Rcx, NativeEmitter.GuestRsp, _stackStep, guest: true);
                _stackStep += 8 + (instruction.Code == Code.Retnq_imm16 ? instruction.Immediate16 : 0);
                GoToRcx(entry, refund);
                return true;
            case Mnemonic.Jmp when instruction.FlowControl == FlowControl.UnconditionalBranch:
                return true;
            case Mnemonic.Jmp:
                if (!TryLoadTarget(instruction, refund)) return false;
                emitter.StoreFrame(NativeEmitter.Rcx, NativeFrame.Borrowed);
                emitter.MoveRegister(NativeEmitter.Rcx, NativeEmitter.Scratch);
                GoToRcx(entry, refund);
                return true;
        }

        if (instruction.FlowControl == FlowControl.ConditionalBranch)
        {
            Branch(entry, index);
            return true;
        }

        if (LeftUndefined.By(instruction).IsConditional) FlagRepair.KeepCount(emitter);
        if (!TryOrdinary(instruction, refund, waits: _checks.WaitsForAddress(index))) return false;
        NoteFlags(instruction);
        return true;
    }

    /// <summary>What is out of reach faults, and goes to the interpreter.</summary>
    private void Ask(AddressCheck check, in Instruction instruction, int refund)
    {
        _held = -1;
        switch (check.Question)
        {
            case AddressQuestion.Register:
                Probe(check.Register, instruction, refund);
                break;
            case AddressQuestion.Exactly:
                AskExactly(check.Register, instruction, refund);
                break;
            default:
                ProbeSum(instruction, refund);
                break;
        }
    }

    private void Probe(int register, in Instruction instruction, int refund)
    {
        if (_homes.IsInFrame(register)) emitter.RotateFrameRight(NativeEmitter.Scratch, NativeThunks.FrameSlot(register), AddressProbe.Rotation);
        else emitter.RotateRight(NativeEmitter.Scratch, _homes.HostOf(register), AddressProbe.Rotation);
        NoteFault(instruction, refund);
        emitter.ReadProbe(AddressProbe.Address);
    }

    private void ProbeSum(in Instruction instruction, int refund)
    {
        LoadAddress(instruction);
        emitter.RotateRight(NativeEmitter.Scratch, NativeEmitter.Scratch, AddressProbe.Rotation);
        NoteFault(instruction, refund);
        emitter.ReadProbe(AddressProbe.Address);
    }

    /// <summary>Asks for -2^32 to 2^32, also of what is not canonical.</summary>
    private void AskExactly(int register, in Instruction instruction, int refund)
    {
        emitter.StoreFrame(NativeEmitter.Rcx, NativeFrame.Borrowed);
        if (_homes.IsInFrame(register)) emitter.RotateFrameRight(NativeEmitter.Rcx, NativeThunks.FrameSlot(register), 32);
        else emitter.RotateRight(NativeEmitter.Rcx, _homes.HostOf(register), 32);
        RefuseUnlessExtended(instruction, refund);
        emitter.LoadFrame(NativeEmitter.Rcx, NativeFrame.Borrowed);
    }

    /// <summary>
    /// With the halves of a register exchanged in RCX, which is borrowed: faults unless it is within 2^32 of 0.
    /// </summary>
    private void RefuseUnlessExtended(in Instruction instruction, int refund)
    {
        emitter.Bytes(0x89, 0xc9);                                                // mov ecx, ecx
        var (isUpper, fault) = ((nint)emitter.JumpUnlessRcxIsZero(), new FaultPoint(0, instruction.IP, refund, Gpr.Rcx, _stackStep, _unsettled));
        var back = (nint)emitter.At;
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)isUpper);
            emitter.Bytes(0x8d, 0x49, 0x01);                                      // lea ecx, [rcx + 1]
            var isOutside = emitter.JumpUnlessRcxIsZero();
            emitter.Jump((byte*)back);
            emitter.Land(isOutside);
            _faults.Add(fault with { Offset = (int)(emitter.At - _codeStart) });
            emitter.Bytes(0x44, 0x8a, 0x34, 0x25);                                // mov r14b, [0]
            emitter.Word32(0);
        });
    }

    private void CopyToScratch(int register)
    {
        if (_homes.IsInFrame(register)) emitter.LoadFrame(NativeEmitter.Scratch, NativeThunks.FrameSlot(register));
        else emitter.MoveRegister(NativeEmitter.Scratch, _homes.HostOf(register));
    }

    /// <summary>A conditional branch leaves the trace on one side and stays in it on the other.</summary>
    private void Branch(in TraceInstruction entry, int index)
    {
        var condition = (int)entry.Instruction.ConditionCode;
        var number = EncodingOf[condition];
        if (entry.GoesOnTaken) number ^= 1;
        var target = entry.GoesOnTaken ? entry.Instruction.NextIP : entry.Instruction.NearBranchTarget;
        var isPaid = index >= _paidAt && !_isPrecise;
        var refund = isPaid ? EndOfStretch(index) - index - 1 : 0;
        var jump = emitter.JumpIf(number);
        var unsettled = _unsettled;
        if (isPaid && refund == 0 && _stackStep == 0 && IsOwnStart(target) && MayBeginAnew(unsettled))
        {
            EndRound(jump, unsettled);
            return;
        }

        if (isPaid && refund == 0 && _stackStep == 0 && unsettled.All == RflagsBits.None && _homes.Count == 0)
        {
            Edge(jump, target, isPrecise: false);
            return;
        }

        var (place, step) = ((nint)jump, _stackStep);
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)place);
            MoveStack(step);
            if (refund != 0) emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, refund);
            if (isPaid && IsOwnStart(target))
            {
                _unsettled = unsettled;
                EndRound();
                return;
            }

            Settle(unsettled);
            GiveBackHomes();
            if (isPaid) Edge(emitter.Jump(), target, isPrecise: false);
            else ToEitherEdge(target, _isPrecise ? 0 : index + 1);
        });
    }

    // Iced numbers conditions o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g from 1 on, in the order of the encoding.
    private static readonly int[] EncodingOf = [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    private bool TryPush(in Instruction instruction, int refund)
    {
        if (instruction.Op0Register == Register.RSP) SettleStack();
        switch (instruction.Code)
        {
            case Code.Pushq_imm8 or Code.Pushq_imm32:
                NoteFault(instruction, refund);
                emitter.Memory(0xc7, 0, NativeEmitter.GuestRsp, _stackStep - 8, guest: true);
                emitter.Word32((int)(long)instruction.GetImmediate(0));
                break;
            case Code.Push_rm64 when instruction.Op0Kind == OpKind.Memory:
                if (!TryLoadTarget(instruction, refund)) return false;
                NoteFault(instruction, refund);
                emitter.Memory(0x89, NativeEmitter.Scratch, NativeEmitter.GuestRsp, _stackStep - 8, guest: true);
                break;
            default:
                var register = NativeInstructions.Number(instruction.Op0Register);
                if (_homes.IsInFrame(register)) CopyToScratch(register);
                NoteFault(instruction, refund);
                var host = _homes.IsInFrame(register) ? NativeEmitter.Scratch : _homes.HostOf(register);
                emitter.Memory(0x89, host, NativeEmitter.GuestRsp, _stackStep - 8, guest: true);
                break;
        }

        _stackStep -= 8;
        return true;
    }

    private void Pop(int register)
    {
        if (register == Gpr.Rsp)
        {
            emitter.Memory(0x8b, NativeEmitter.GuestRsp, NativeEmitter.GuestRsp, _stackStep, guest: true);
            _stackStep = 0;
            return;
        }

        var isInFrame = _homes.IsInFrame(register);
        emitter.Memory(0x8b, isInFrame ? NativeEmitter.Scratch : _homes.HostOf(register), NativeEmitter.GuestRsp, _stackStep, guest: true);
        if (isInFrame) emitter.StoreFrame(NativeEmitter.Scratch, NativeThunks.FrameSlot(register));
        _stackStep += 8;
    }

    private bool TryCall(in TraceInstruction entry, int refund)
    {
        var instruction = entry.Instruction;
        var isIndirect = instruction.FlowControl == FlowControl.IndirectCall;
        if (isIndirect)
        {
            // A target that is not canonical is #GP before anything is pushed: the interpreter's, as is one outside the window.
            if (!TryLoadTarget(instruction, refund)) return false;
            emitter.StoreFrame(NativeEmitter.Rcx, NativeFrame.Borrowed);
            emitter.RotateRight(NativeEmitter.Rcx, NativeEmitter.Scratch, 32);
            RefuseUnlessExtended(instruction, refund);
            emitter.MoveRegister(NativeEmitter.Rcx, NativeEmitter.Scratch);
        }

        NoteFault(instruction, refund, isIndirect ? Gpr.Rcx : -1);
        emitter.Memory(0xc7, 0, NativeEmitter.GuestRsp, _stackStep - 8, guest: true);
        emitter.Word32((int)instruction.NextIP);
        _stackStep -= 8;
        if (isIndirect) GoToRcx(entry, refund);
        return true;
    }

    /// <summary>
    /// An indirect jump or return to the address in RCX, which is borrowed: on in the trace where that is what was expected, else by the table.
    /// </summary>
    private void GoToRcx(in TraceInstruction entry, int refund)
    {
        var rip = entry.Instruction.IP;
        if (!entry.IsFollowed)
        {
            SettleStack();
            Settle();
            GiveBackHomes();
            if (_isPrecise)
            {
                emitter.MoveRegister(NativeEmitter.Scratch, NativeEmitter.Rcx);
                emitter.RotateRight(NativeEmitter.Rcx, NativeEmitter.Budget, SignRotation);
                emitter.Bytes(0x0f, 0xb7, 0xc9);                                  // movzx ecx, cx
                var tooLittle = (nint)emitter.JumpUnlessRcxIsZero();
                emitter.MoveRegister(NativeEmitter.Rcx, NativeEmitter.Scratch);
                _outOfLine.Add(() =>
                {
                    emitter.Land((byte*)tooLittle);
                    emitter.MoveRegister(NativeEmitter.Rcx, NativeEmitter.Scratch);
                    emitter.StoreFrameImmediate(NativeFrame.Rip, (int)rip);
                    emitter.Bytes(0x41, 0xbe);                                    // mov r14d, mask
                    emitter.Word32(IndirectTable.PreciseEntries - 1);
                    emitter.Bytes(0xc4, 0x42, 0x72, 0xf5, 0xf6);                  // pext r14d, ecx, r14d
                    emitter.Bytes(0x42, 0xff, 0x24, 0xf5);                        // jmp [r14 * 8 + table]
                    emitter.Word32(indirectTable.PreciseAddress);
                });
            }

            JumpByTable(rip);
            return;
        }

        var expected = (int)entry.Next;
        emitter.Lea(NativeEmitter.Rcx, NativeEmitter.Rcx, -expected);
        var (elsewhere, step, unsettled) = ((nint)emitter.JumpUnlessRcxIsZero(), _stackStep, _unsettled);
        emitter.LoadFrame(NativeEmitter.Rcx, NativeFrame.Borrowed);
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)elsewhere);
            Settle(unsettled);
            MoveStack(step);
            if (refund > 1) emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, refund - 1);
            emitter.Lea(NativeEmitter.Rcx, NativeEmitter.Rcx, expected);
            GiveBackHomes();
            JumpByTable(rip);
        });
    }

    /// <summary>The low 16 bits of the target, which is in RCX, index the table; the unit there finds out whether it is the one.</summary>
    private void JumpByTable(ulong rip)
    {
        emitter.StoreFrameImmediate(NativeFrame.Rip, (int)rip);
        emitter.Bytes(0x44, 0x0f, 0xb7, 0xf1);                                    // movzx r14d, cx
        emitter.Bytes(0x42, 0xff, 0x24, 0xf5);                                    // jmp [r14 * 8 + table]
        emitter.Word32(indirectTable.Address);
    }

    private void NoteFault(in Instruction instruction, int refund, int borrowed = -1)
        => _faults.Add(new((int)(emitter.At - _codeStart), instruction.IP, refund, borrowed, _stackStep, _unsettled));
}
