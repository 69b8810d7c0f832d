namespace LivePatchLab.Machine;

/// <summary>The ways into translated code and out of it: between the host's calling convention with a CPU in memory, and a CPU in the host's registers.</summary>
internal sealed unsafe class NativeThunks
{
    private readonly CodeMemory _memory;
    private readonly NativeEmitter _emitter;

    public NativeThunks(CodeMemory memory, NativeEmitter emitter)
    {
        _memory = memory;
        _emitter = emitter;
        emitter.Begin(memory.Next);
        var exit = WriteExit();
        Leave = exit;
        var fault = WriteFaultStub(exit);
        IndirectMiss = memory.Executable(WriteIndirectMiss(exit));
        Enter = (delegate* unmanaged[SuppressGCTransition]<CpuState*, nint, long, ulong, void>)memory.Executable(WriteEntry(memory.Executable(fault)));
        memory.Next = emitter.At;
    }

    /// <summary>(cpu, code, budget, status flags as <see cref="PackFlags"/> has them). The runs are short: it suspends no garbage collection for longer than a budget takes.</summary>
    public delegate* unmanaged[SuppressGCTransition]<CpuState*, nint, long, ulong, void> Enter { get; }

    /// <summary>To be jumped to with <see cref="NativeFrame.Exit"/> and <see cref="NativeFrame.Rip"/> set and all flags the guest's.</summary>
    public byte* Leave { get; }

    /// <summary>What an empty entry of the table of indirect jumps leads to.</summary>
    public nint IndirectMiss { get; }

    /// <summary>As LAHF and SETO give them, which take far less time than PUSHF: OF in bit 0, the others in bits 8 to 15.</summary>
    public static ulong PackFlags(uint status) => ((status & 0xd5) << 8) | 0x200 | ((status >> 11) & 1);

    public static uint UnpackFlags(ulong packed) => (uint)((packed >> 8) & 0xd5) | (uint)((packed & 1) << 11);

    private byte* WriteEntry(nint faultStub)
    {
        var e = _emitter;
        var start = e.At;
        e.Bytes(0x55, 0x53, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57);      // push rbp, rbx, r12 … r15
        e.Lea(NativeEmitter.Rsp, NativeEmitter.Rsp, -NativeFrame.Bytes);
        e.StoreFrame(NativeEmitter.Rdi, NativeFrame.Cpu);
        e.Lea(NativeEmitter.Budget, NativeEmitter.Rdx, -UnitTranslator.Slack);
        e.Bytes(0x49, 0xbe);                                                      // mov r14, imm64
        e.Word64(faultStub);
        e.StoreFrame(NativeEmitter.Scratch, NativeFrame.FaultStub);
        e.Bytes(0x89, 0xc8, 0x04, 0x7f, 0x9e);                                    // mov eax, ecx; add al, 7fh; sahf
        e.MoveRegister(NativeEmitter.Scratch, 6);
        for (var spilled = 13; spilled <= 15; spilled++)
        {
            e.Memory(0x8b, 3, NativeEmitter.Rdi, spilled * 8);
            e.StoreFrame(3, FrameSlot(spilled));
        }

        e.Memory(0x8b, NativeEmitter.GuestRsp, NativeEmitter.Rdi, Gpr.Rsp * 8);
        for (var register = 0; register < 13; register++)
            if (register is not (NativeEmitter.Rsp or NativeEmitter.Rdi)) e.Memory(0x8b, register, NativeEmitter.Rdi, register * 8);
        e.Memory(0x8b, NativeEmitter.Rdi, NativeEmitter.Rdi, NativeEmitter.Rdi * 8);
        e.Bytes(0x41, 0xff, 0xe6);                                                // jmp r14
        return start;
    }

    private byte* WriteExit()
    {
        var e = _emitter;
        var start = e.At;
        e.LoadFrame(NativeEmitter.Scratch, NativeFrame.Cpu);
        e.Memory(0x89, NativeEmitter.Rax, NativeEmitter.Scratch, 0);
        e.Bytes(0x9f, 0x0f, 0x90, 0xc0);                                          // lahf; seto al
        e.Memory(0x89, NativeEmitter.Rax, NativeEmitter.Scratch, CpuFields.FlagA);
        e.Memory(0xc7, 0, NativeEmitter.Scratch, CpuFields.FlagKind, wide: false);
        e.Word32(LazyFlags.Packed);
        for (var register = 1; register < 13; register++)
            if (register != NativeEmitter.Rsp) e.Memory(0x89, register, NativeEmitter.Scratch, register * 8);
        e.Memory(0x89, NativeEmitter.GuestRsp, NativeEmitter.Scratch, Gpr.Rsp * 8);
        for (var spilled = 13; spilled <= 15; spilled++) CopyToCpu(FrameSlot(spilled), spilled * 8);
        e.Lea(NativeEmitter.Budget, NativeEmitter.Budget, UnitTranslator.Slack);
        e.Memory(0x89, NativeEmitter.Budget, NativeEmitter.Scratch, CpuFields.Budget);
        CopyToCpu(NativeFrame.Rip, CpuFields.Rip);
        CopyToCpu(NativeFrame.Exit, CpuFields.NativeExit);
        e.Lea(NativeEmitter.Rsp, NativeEmitter.Rsp, NativeFrame.Bytes);
        e.Bytes(0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5b, 0x5d, 0xc3); // pop r15 … r12, rbx, rbp; ret
        return start;
    }

    /// <summary>Where the signal handler sends a thread that faulted. RIP is the host's then; all registers are as they were.</summary>
    private byte* WriteFaultStub(byte* exit)
    {
        var e = _emitter;
        var start = e.At;
        e.LoadFrame(NativeEmitter.Scratch, NativeFrame.FaultAt);
        e.StoreFrame(NativeEmitter.Scratch, NativeFrame.Rip);
        e.StoreFrameImmediate(NativeFrame.Exit, (int)NativeExit.Fault);
        e.LoadFrame(NativeEmitter.Scratch, NativeFrame.Cpu);
        e.Memory(0x89, NativeEmitter.Rax, NativeEmitter.Scratch, 0);
        CopyToCpu(NativeFrame.Borrowed, CpuFields.NativeBorrowed);
        for (var i = 0; i < 3; i++) CopyToCpu((byte)(NativeFrame.Displaced + (i * 8)), CpuFields.NativeDisplaced + (i * 8));
        CopyToCpu(NativeFrame.ShiftCount, CpuFields.NativeShiftCount);
        e.Memory(0x8b, NativeEmitter.Rax, NativeEmitter.Scratch, 0);
        e.Jump(exit);
        return start;
    }

    /// <summary>An indirect jump has retired and found nothing: RCX is its target, and its own value borrowed. RIP is the jump's own, in case the target proves to be none.</summary>
    private byte* WriteIndirectMiss(byte* exit)
    {
        var e = _emitter;
        var start = e.At;
        e.LoadFrame(NativeEmitter.Scratch, NativeFrame.Cpu);
        e.Memory(0x89, NativeEmitter.Rcx, NativeEmitter.Scratch, CpuFields.NativeTarget);
        e.LoadFrame(NativeEmitter.Rcx, NativeFrame.Borrowed);
        e.StoreFrameImmediate(NativeFrame.Exit, (int)NativeExit.Indirect);
        e.Jump(exit);
        return start;
    }

    public static byte FrameSlot(int spilled) => (byte)(NativeFrame.R13 + ((spilled - 13) * 8));

    private void CopyToCpu(byte slot, int field)
    {
        _emitter.LoadFrame(NativeEmitter.Rax, slot);
        _emitter.Memory(0x89, NativeEmitter.Rax, NativeEmitter.Scratch, field);
    }

    /// <summary>Distances of fields from the start of <see cref="CpuState"/>.</summary>
    public static class CpuFields
    {
        public static readonly int Budget, Rip, FlagA, FlagKind, FsBase, GsBase, NativeExit, NativeBorrowed, NativeTarget, NativeDisplaced, NativeShiftCount;

        static CpuFields()
        {
            CpuState state;
            var start = (byte*)&state;
            Budget = (int)((byte*)&state.Budget - start);
            Rip = (int)((byte*)&state.Rip - start);
            FlagA = (int)((byte*)&state.FlagA - start);
            FlagKind = (int)((byte*)&state.FlagKind - start);
            FsBase = (int)((byte*)&state.FsBase - start);
            GsBase = (int)((byte*)&state.GsBase - start);
            NativeExit = (int)((byte*)&state.NativeExit - start);
            NativeBorrowed = (int)((byte*)&state.NativeBorrowed - start);
            NativeTarget = (int)((byte*)&state.NativeTarget - start);
            NativeDisplaced = (int)((byte*)state.NativeDisplaced - start);
            NativeShiftCount = (int)((byte*)&state.NativeShiftCount - start);
        }
    }
}
