using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

/// <summary>
/// Short loops of instructions that leave flags undefined, with few others between them: some read flags, some may fault, some leave the loop. What is seen of the
/// flags is gathered in memory and, at each fault, in R10.
/// </summary>
internal sealed class FlagStreamScene : LockStepScene
{
    private static readonly GuestAddress Code = new(0x40_0000), Data = new(0x60_0000), Stack = new(0x70_0000), Nowhere = new(0x50_0000);

    private static readonly AssemblerRegister64[] Wide = [rax, rbx, rdx, rsi, r8, r13, r14, r15];
    private static readonly AssemblerRegister32[] Middle = [eax, ebx, edx, esi, r8d, r13d, r14d, r15d];
    private static readonly AssemblerRegister16[] Short = [ax, bx, dx, si, r8w, r13w, r14w, r15w];
    private static readonly AssemblerRegister8[] Bytes = [al, bl, dl, sil, r8b, r13b, r14b, r15b];

    private readonly List<GuestAddress> _loops = [];

    public FlagStreamScene(ulong seed, TestedEngine engine) : base(seed)
    {
        Machine = new(new()
        {
            Cpus = Draw.Of(1, 1, 2),
            Choices = new SeededChoices(new(seed)),
            QuantumCyclesMax = Draw.Of(7, 100, 3_000, 30_000),
            Engine = engine.Kind,
            Host = engine.Host,
            HotInstructions = SoonHot,
        });
        Machine.Memory.Map(Code, 16 * GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        Machine.Memory.Map(Data, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        Machine.Memory.Map(Stack, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
        Machine.SetTrapHandler(TrapVector.PageFault, GoOn);
        Machine.SetTrapHandler(TrapVector.DivideError, GoOn);
        var at = Code;
        for (var i = 0; i < 4 + Draw.Below(8); i++)
        {
            _loops.Add(at);
            var code = InstructionBytes.Assemble(at.Value, WriteLoop);
            Machine.Memory.Load(at, code);
            at += code.Length + Draw.Below(64);
        }

        Description = $"{Machine.Cpus.Count} CPUs, {_loops.Count} loops of flags";
    }

    public override SmpMachine Machine { get; }

    public override string Description { get; }

    public override void BeforeQuantum()
    {
        foreach (var cpu in Machine.Cpus)
        {
            if (Draw.OneIn(3)) cpu.Rdi = Nowhere.Value;
            if (cpu.Activity == CpuActivity.Guest && !Draw.OneIn(50)) continue;
            cpu.StartGuest(_loops[Draw.Below(_loops.Count)], Stack + GuestMemory.PageBytes - 64);
            foreach (var register in (int[])[Gpr.Rax, Gpr.Rbx, Gpr.Rdx, Gpr.Rsi, 8, 13, 14, 15]) Set(cpu, register, Draw.Interesting());
            cpu.Rdi = Data.Value;
            cpu.Rbp = Data.Value + 1024;
            cpu.R12 = (ulong)(1 + Draw.Below(3000));
        }
    }

    /// <summary>The flags at the fault go into R10, RDI leads to memory again, and the instruction runs anew; a quotient that does not fit becomes one.</summary>
    private IEnumerable<KernelStep> GoOn(Cpu cpu, TrapFrame frame)
    {
        cpu.R10 = (cpu.R10 * 0x9e37_79b9_7f4a_7c15) ^ (cpu.Rflags & LazyFlags.All) ^ frame.Rip.Value;
        cpu.Rdi = Data.Value;
        cpu.Rdx = 0;
        cpu.Rbx |= 1;
        frame.Consumed = true;
        yield break;
    }

    private static unsafe void Set(Cpu cpu, int register, ulong value) => cpu.State->Registers[register] = value;

    private void WriteLoop(Assembler a)
    {
        var loop = a.CreateLabel();
        a.Label(ref loop);
        var length = 2 + Draw.Below(18);
        for (var i = 0; i < length; i++)
        {
            if (!Draw.OneIn(8))
            {
                WriteOne(a);
                continue;
            }

            // A way over some of them, and so a way out of the path that is translated.
            var over = a.CreateLabel();
            WriteBranch(a, over);
            for (var skipped = 0; skipped <= Draw.Below(3); skipped++) WriteOne(a);
            a.Label(ref over);
            a.nop();
        }

        switch (Draw.Below(4))
        {
            case 0:
                // The flags that are there go round with the loop.
                a.lea(r12, __qword_ptr[r12 - 1]);
                a.xchg(rcx, r12);
                var out0 = a.CreateLabel();
                a.jrcxz(out0);
                a.xchg(rcx, r12);
                a.jmp(loop);
                a.Label(ref out0);
                a.hlt();
                break;
            case 1:
                a.shr(r12, 1);
                a.jne(loop);
                a.hlt();
                break;
            default:
                a.dec(r12);
                a.jne(loop);
                a.hlt();
                break;
        }
    }

    private void WriteBranch(Assembler a, Label target)
    {
        switch (Draw.Below(8))
        {
            case 0: a.jo(target); break;
            case 1: a.jc(target); break;
            case 2: a.js(target); break;
            case 3: a.jp(target); break;
            case 4: a.jl(target); break;
            case 5: a.ja(target); break;
            case 6: a.jno(target); break;
            default: a.je(target); break;
        }
    }

    private void WriteOne(Assembler a)
    {
        switch (Draw.Below(12))
        {
            case 0: a.mov(ecx, Draw.Of(0, 0, 1, 1, 2, 3, 8, 9, 17, 31, 32, 33, 63, 64, 65)); break;
            case 1 or 2 or 3: WriteShift(a); break;
            case 4 or 5: WriteProductOrScan(a); break;
            case 6 or 7: WriteReader(a); break;
            case 8: a.mov(Draw.Of(Wide), __qword_ptr[rdi + Draw.Below(64)]); break;
            case 9: a.mov(__qword_ptr[rdi + 64], Draw.Of(Wide)); break;
            case 10: WritePartial(a); break;
            default: WriteKiller(a); break;
        }
    }

    private void WriteShift(Assembler a)
    {
        var (r64, r32, r16, r8, count) = (Draw.Of(Wide), Draw.Of(Middle), Draw.Of(Short), Draw.Of(Bytes), (byte)Draw.Of(1, 1, 2, 3, 7, 8, 9, 15, 17, 31, 32, 63, 64));
        switch (Draw.Below(24))
        {
            case 0: a.shl(r64, count); break;
            case 1: a.shr(r32, count); break;
            case 2: a.sar(r16, count); break;
            case 3: a.shl(r8, count); break;
            case 4: a.shl(r64, cl); break;
            case 5: a.shr(r32, cl); break;
            case 6: a.sar(r64, cl); break;
            case 7: a.shr(r16, cl); break;
            case 8: a.rol(r64, count); break;
            case 9: a.ror(r32, count); break;
            case 10: a.rol(r8, count); break;
            case 11: a.rol(r32, cl); break;
            case 12: a.ror(r64, cl); break;
            case 13: a.rcl(r64, count); break;
            case 14: a.rcr(r32, count); break;
            case 15: a.rcl(r8, count); break;
            case 16: a.rcl(r32, cl); break;
            case 17: a.rcr(r16, cl); break;
            case 18: a.shld(r64, Draw.Of(Wide), count); break;
            case 19: a.shrd(r32, Draw.Of(Middle), count); break;
            case 20: a.shld(r32, Draw.Of(Middle), cl); break;
            case 21: a.shl(__dword_ptr[rdi + 8], count); break;
            case 22: a.shr(__qword_ptr[rdi + 16], cl); break;
            default: a.rol(__word_ptr[rdi + 24], count); break;
        }
    }

    private void WriteProductOrScan(Assembler a)
    {
        var (r64, r32, other) = (Draw.Of(Wide), Draw.Of(Middle), Draw.Of(Middle));
        switch (Draw.Below(18))
        {
            case 0: a.imul(r64, Draw.Of(Wide)); break;
            case 1: a.imul(r32, other, Draw.Below(300)); break;
            case 2: a.mul(ebx); break;
            case 3: a.imul(rbx); break;
            case 4: a.mul(bl); break;
            case 5:
                a.mov(edx, 0);
                a.div(rbx);
                break;
            case 6: a.bsf(r32, other); break;
            case 7: a.bsr(r64, Draw.Of(Wide)); break;
            case 8: a.tzcnt(r32, other); break;
            case 9: a.lzcnt(r64, Draw.Of(Wide)); break;
            case 10: a.popcnt(r32, other); break;
            case 11: a.andn(r32, other, Draw.Of(Middle)); break;
            case 12: a.blsr(r32, other); break;
            case 13: a.blsi(r64, Draw.Of(Wide)); break;
            case 14: a.bextr(r32, other, Draw.Of(Middle)); break;
            case 15: a.bzhi(r64, Draw.Of(Wide), rcx); break;
            case 16: a.btc(r32, (byte)Draw.Below(32)); break;
            default: a.bt(r32, other); break;
        }
    }

    private void WriteReader(Assembler a)
    {
        switch (Draw.Below(10))
        {
            case 0: a.seto(__byte_ptr[rbp + Draw.Below(64)]); break;
            case 1: a.setp(__byte_ptr[rbp + Draw.Below(64)]); break;
            case 2: a.sets(Draw.Of(Bytes)); break;
            case 3: a.cmovo(Draw.Of(Wide), Draw.Of(Wide)); break;
            case 4: a.cmovle(Draw.Of(Middle), Draw.Of(Middle)); break;
            case 5: a.adc(Draw.Of(Middle), Draw.Of(Middle)); break;
            case 6: a.sbb(Draw.Of(Wide), 3); break;
            case 7:
                a.lahf();
                a.mov(__word_ptr[rbp + 128], ax);
                break;
            case 8:
                a.pushfq();
                a.pop(r11);
                a.mov(__qword_ptr[rbp + 136], r11);
                break;
            default: a.setbe(__byte_ptr[rbp + Draw.Below(64)]); break;
        }
    }

    /// <summary>Sets some flags and leaves others.</summary>
    private void WritePartial(Assembler a)
    {
        switch (Draw.Below(6))
        {
            case 0: a.inc(Draw.Of(Middle)); break;
            case 1: a.dec(Draw.Of(Wide)); break;
            case 2: a.stc(); break;
            case 3: a.cmc(); break;
            case 4: a.sahf(); break;
            default: a.clc(); break;
        }
    }

    private void WriteKiller(Assembler a)
    {
        switch (Draw.Below(5))
        {
            case 0: a.add(Draw.Of(Wide), Draw.Of(Wide)); break;
            case 1: a.xor(Draw.Of(Middle), 0x55); break;
            case 2: a.test(Draw.Of(Middle), Draw.Of(Middle)); break;
            case 3: a.cmp(Draw.Of(Wide), Draw.Of(Wide)); break;
            default: a.sub(Draw.Of(Middle), Draw.Of(Middle)); break;
        }
    }
}
