using Iced.Intel;

namespace LivePatchLab.Machine;

/// <summary>One guest instruction: what must be asked before it, and which way it is translated.</summary>
internal sealed unsafe partial class UnitTranslator
{
    /// <summary>False, with its host code of no use, where the instruction has no translation with the registers it uses.</summary>
    private bool TryTranslate(ReadOnlySpan<TraceInstruction> trace, int index, int refund)
    {
        ref readonly var entry = ref trace[index];
        var instruction = entry.Instruction;
        AskAddresses(index, instruction.IP, refund);
        if (NativeInstructions.IsNothing(instruction)) return true;
        if (_overflowInFrame && NativeFlags.NeedsOverflow(instruction)) RestoreOverflow();
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
                if (entry.IsFollowed) ClearOverflow();
                NoteFault(instruction, refund);
                emitter.Memory(0x8b, NativeEmitter.Scratch, NativeEmitter.GuestRsp, _stackStep, guest: true);
                _stackStep += 8 + (instruction.Code == Code.Retnq_imm16 ? instruction.Immediate16 : 0);
                if (entry.IsFollowed) Expect(entry, refund);
                else GoToScratch(instruction.IP);
                return true;
            case Mnemonic.Jmp when instruction.FlowControl == FlowControl.UnconditionalBranch:
                return true;
            case Mnemonic.Jmp:
                if (!TryLoadTarget(instruction, refund)) return false;
                GoToScratch(instruction.IP);
                return true;
        }

        if (instruction.FlowControl == FlowControl.ConditionalBranch)
        {
            Branch(entry, refund - 1);
            return true;
        }

        return TryOrdinary(instruction, refund);
    }

    /// <summary>The question whether registers that are used as addresses are in or near the window. What is not goes to the interpreter.</summary>
    private void AskAddresses(int index, ulong rip, int refund)
    {
        foreach (var (register, keepsFlags) in _checks.Before(index))
        {
            if (keepsFlags) AskKeepingFlags(register, rip, refund);
            else AskOverFlags(register, rip, refund);
            _held = -1;
        }
    }

    private void AskKeepingFlags(int register, ulong rip, int refund)
    {
        KeepOverflow();

        // Where code is in the upper half, so mostly are the addresses that it uses.
        var isUpper = (long)rip < 0;
        byte* fails;
        if (isUpper)
        {
            fails = AskWhole(register);
        }
        else
        {
            CopyToScratch(register);
            emitter.AddForOverflow(NativeEmitter.Scratch, NativeFrame.LowLimit);
            fails = emitter.JumpIf(NativeEmitter.IfOverflow);
        }

        _isOverflowClear = true;

        var (place, back, step) = ((nint)fails, (nint)emitter.At, _stackStep);
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)place);
            if (!isUpper)
            {
                var outside = AskWhole(register);
                emitter.Jump((byte*)back);
                emitter.Land(outside);
            }

            MoveStack(step);
            emitter.RestoreOverflow();
            emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, refund);
            Leave(NativeExit.Interpret, rip);
        });
    }

    /// <summary>The next instruction sets all flags, so they may be lost, also where the interpreter goes on with it.</summary>
    private void AskOverFlags(int register, ulong rip, int refund)
    {
        var host = register;
        if (register >= 13)
        {
            emitter.LoadFrame(NativeEmitter.Scratch, NativeThunks.FrameSlot(register));
            host = NativeEmitter.Scratch;
        }
        else if (register == Gpr.Rsp)
        {
            host = NativeEmitter.GuestRsp;
        }

        var isUpper = (long)rip < 0;
        emitter.Bytes((byte)(0x48 | (host >> 3)), (byte)(isUpper ? 0x81 : 0xf7), (byte)((isUpper ? 0xf8 : 0xc0) | (host & 7)));   // cmp or test host, -80000000h
        emitter.Word32(int.MinValue);
        var (place, back, step) = ((nint)emitter.JumpIf(isUpper ? NativeEmitter.IfBelow : NativeEmitter.IfNotZero), (nint)emitter.At, _stackStep);
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)place);

            // OF counts as a carry in, so it has to be 0.
            emitter.Bytes(0x45, 0x31, 0xf6);                                      // xor r14d, r14d
            var outside = AskWhole(register);
            emitter.Jump((byte*)back);
            emitter.Land(outside);
            MoveStack(step);
            emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, refund);
            Leave(NativeExit.Interpret, rip);
        });
        _overflowInFrame = false;
    }

    /// <summary>Asks for -2^32 to 2^32.</summary>
    private byte* AskWhole(int register)
    {
        if (register >= 13)
        {
            emitter.LoadFrame(NativeEmitter.Scratch, NativeThunks.FrameSlot(register));
            emitter.StoreFrame(NativeEmitter.Rax, NativeFrame.Borrowed);
            emitter.LoadFrame(NativeEmitter.Rax, NativeFrame.WindowOffset);
            emitter.Bytes(0x4d, 0x8d, 0x34, 0x06);                                // lea r14, [r14 + rax]
            emitter.LoadFrame(NativeEmitter.Rax, NativeFrame.Borrowed);
        }
        else
        {
            var host = register == Gpr.Rsp ? NativeEmitter.GuestRsp : register;
            emitter.LoadFrame(NativeEmitter.Scratch, NativeFrame.WindowOffset);
            emitter.Bytes((byte)(0x4d | ((host >> 3) << 1)), 0x8d, 0x34, (byte)(((host & 7) << 3) | 6));   // lea r14, [r14 + host]
        }

        emitter.AddForOverflow(NativeEmitter.Scratch, NativeFrame.WindowLimit);
        return emitter.JumpIf(NativeEmitter.IfOverflow);
    }

    private void CopyToScratch(int register)
    {
        if (register >= 13) emitter.LoadFrame(NativeEmitter.Scratch, NativeThunks.FrameSlot(register));
        else emitter.MoveRegister(NativeEmitter.Scratch, register == Gpr.Rsp ? NativeEmitter.GuestRsp : register);
    }

    /// <summary>A conditional branch leaves the trace on one side and stays in it on the other.</summary>
    private void Branch(in TraceInstruction entry, int refund)
    {
        var condition = (int)entry.Instruction.ConditionCode;
        var number = EncodingOf[condition];
        if (entry.GoesOnTaken) number ^= 1;
        var target = entry.GoesOnTaken ? entry.Instruction.NextIP : entry.Instruction.NearBranchTarget;
        var jump = emitter.JumpIf(number);
        if (refund == 0 && !_overflowInFrame && _stackStep == 0)
        {
            Edge(jump, target);
            return;
        }

        var (place, overflowInFrame, step) = ((nint)jump, _overflowInFrame, _stackStep);
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)place);
            MoveStack(step);
            if (overflowInFrame) emitter.RestoreOverflow();
            if (refund != 0) emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, refund);
            Edge(emitter.Jump(), target);
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
                if (register >= 13) CopyToScratch(register);
                NoteFault(instruction, refund);
                var host = register >= 13 ? NativeEmitter.Scratch : register == Gpr.Rsp ? NativeEmitter.GuestRsp : register;
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

        emitter.Memory(0x8b, register >= 13 ? NativeEmitter.Scratch : register, NativeEmitter.GuestRsp, _stackStep, guest: true);
        if (register >= 13) emitter.StoreFrame(NativeEmitter.Scratch, NativeThunks.FrameSlot(register));
        _stackStep += 8;
    }

    private bool TryCall(in TraceInstruction entry, int refund)
    {
        var instruction = entry.Instruction;
        var isIndirect = instruction.FlowControl == FlowControl.IndirectCall;
        if (isIndirect)
        {
            // A target that is not canonical is #GP before anything is pushed: the interpreter's.
            if (!TryLoadTarget(instruction, refund)) return false;
            emitter.StoreFrame(NativeEmitter.Scratch, NativeFrame.Target);
            KeepOverflow();
            emitter.StoreFrame(NativeEmitter.Rax, NativeFrame.Borrowed);
            emitter.LoadFrame(NativeEmitter.Rax, NativeFrame.WindowOffset);
            emitter.Bytes(0x4d, 0x8d, 0x34, 0x06);                                // lea r14, [r14 + rax]
            emitter.LoadFrame(NativeEmitter.Rax, NativeFrame.Borrowed);
            emitter.AddForOverflow(NativeEmitter.Scratch, NativeFrame.WindowLimit);
            var (place, rip, step) = ((nint)emitter.JumpIf(NativeEmitter.IfOverflow), instruction.IP, _stackStep);
            _outOfLine.Add(() =>
            {
                emitter.Land((byte*)place);
                MoveStack(step);
                emitter.RestoreOverflow();
                emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, refund);
                Leave(NativeExit.Interpret, rip);
            });
            _isOverflowClear = true;
        }

        NoteFault(instruction, refund);
        emitter.Memory(0xc7, 0, NativeEmitter.GuestRsp, _stackStep - 8, guest: true);
        emitter.Word32((int)instruction.NextIP);
        _stackStep -= 8;
        if (!isIndirect) return true;
        if (entry.IsFollowed) ClearOverflow();
        emitter.LoadFrame(NativeEmitter.Scratch, NativeFrame.Target);
        if (entry.IsFollowed) Expect(entry, refund);
        else GoToScratch(instruction.IP);
        return true;
    }

    /// <summary>Has the frame keep the guest's OF, so that the host's may be used.</summary>
    private void KeepOverflow()
    {
        if (_overflowInFrame) return;
        emitter.SaveOverflow();
        _overflowInFrame = true;
        _isOverflowClear = false;
    }

    /// <summary>The same, and the host's is 0: it counts as a carry in.</summary>
    private void ClearOverflow()
    {
        KeepOverflow();
        if (_isOverflowClear) return;
        emitter.ClearOverflow();
        _isOverflowClear = true;
        _held = -1;
    }

    /// <summary>Goes on in the trace where the target in the scratch register is the one that is expected, else by the table. The host's OF is 0.</summary>
    private void Expect(in TraceInstruction entry, int refund)
    {
        var (elsewhere, step, rip, expected) = ((nint)JumpUnlessScratchIs(entry.Next), _stackStep, entry.Instruction.IP, (long)entry.Next);
        _outOfLine.Add(() =>
        {
            emitter.Land((byte*)elsewhere);
            MoveStack(step);

            // What the comparison has left is the target, less the one expected, less 1.
            emitter.Lea(NativeEmitter.Scratch, NativeEmitter.Scratch, (int)(expected + 1));
            emitter.StoreFrame(NativeEmitter.Scratch, NativeFrame.Target);
            emitter.StoreFrameImmediate(NativeFrame.Rip, (int)rip);
            emitter.RestoreOverflow();
            if (refund > 1) emitter.Lea(NativeEmitter.Budget, NativeEmitter.Budget, refund - 1);
            emitter.LoadFrame(NativeEmitter.Scratch, NativeFrame.Target);
            JumpByTable();
        });
    }

    /// <summary>Leaves the scratch register with its value less the address, less 1. The host's OF has to be 0, and is where it goes on.</summary>
    private byte* JumpUnlessScratchIs(ulong address)
    {
        emitter.Lea(NativeEmitter.Scratch, NativeEmitter.Scratch, (int)-(long)address);
        emitter.AddForOverflow(NativeEmitter.Scratch, NativeFrame.AllOnes);
        return emitter.JumpIf(NativeEmitter.IfOverflow);
    }

    /// <summary>An indirect jump or return to the guest address in the scratch register.</summary>
    private void GoToScratch(ulong rip)
    {
        emitter.StoreFrameImmediate(NativeFrame.Rip, (int)rip);
        emitter.StoreFrame(NativeEmitter.Scratch, NativeFrame.Target);
        SettleStack();
        if (_overflowInFrame)
        {
            RestoreOverflow();
            emitter.LoadFrame(NativeEmitter.Scratch, NativeFrame.Target);
        }

        JumpByTable();
    }

    /// <summary>The low 16 bits of the target, which is in the scratch register and in the frame, index the table; the unit there finds out whether it is the one.</summary>
    private void JumpByTable()
    {
        emitter.Bytes(0x45, 0x0f, 0xb7, 0xf6);                                    // movzx r14d, r14w
        emitter.Bytes(0x42, 0xff, 0x24, 0xf5);                                    // jmp [r14 * 8 + table]
        emitter.Word32(indirectTable.Address);
    }

    private void NoteFault(in Instruction instruction, int refund, int borrowed = -1)
        => _faults.Add(new((int)(emitter.At - _codeStart), instruction.IP, refund, _overflowInFrame, borrowed, _stackStep));
}
