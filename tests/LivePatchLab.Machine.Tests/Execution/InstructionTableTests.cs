using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace LivePatchLab.Machine.Tests;

public unsafe class InstructionTableTests
{
    [Fact]
    public void No_instruction_is_claimed_by_two_families()
    {
        var twice = InstructionTable.Families.SelectMany(family => family.Mnemonics).GroupBy(mnemonic => mnemonic).Where(group => group.Count() > 1);
        twice.Select(group => group.Key).ShouldBeEmpty();
    }

    [Fact]
    public void Every_family_is_in_the_table()
    {
        var families = typeof(InstructionFamily).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(InstructionFamily)));
        families.Select(type => type.Name).ShouldBe(InstructionTable.Families.Select(family => family.GetType().Name), ignoreOrder: true);
    }

    [Fact]
    public void Every_claimed_code_decodes_to_itself_and_runs_in_every_form()
    {
        var draw = new Draw(3);
        var slot = 0;
        var families = new HashSet<InstructionFamily>();
        foreach (var code in ClaimedCodes.All)
        {
            var instance = ClaimedCodes.Instance(code, draw, ++slot % HostProcessor.Slots).ShouldNotBeNull(code.ToString());
            instance.Instructions[0].Code.ShouldBe(code);
            families.Add(InstructionTable.Of(instance.Instructions[0]));
            foreach (var form in (ExecutionForms[])[ExecutionForms.Fast, ExecutionForms.Precise, ExecutionForms.Single])
            {
                var vector = VectorOf(instance, form);
                if (code.Mnemonic() is Mnemonic.Ud0 or Mnemonic.Ud1 or Mnemonic.Ud2) vector.ShouldBe(Traps.InvalidOpcode);
                else if (instance.Instructions[0].Op0Register != Register.CS) vector.ShouldNotBe(Traps.InvalidOpcode, $"{form}: {instance}");
            }
        }

        families.ShouldBe(InstructionTable.Families, ignoreOrder: true);
    }

    /// <summary>The control: what nobody claims is #UD in the same harness.</summary>
    [Fact]
    public void Codes_that_nobody_claims_are_undefined()
    {
        foreach (var write in (Action<Assembler>[])
            [a => a.addps(xmm0, xmm1), a => a.fninit(), a => a.xgetbv(), a => a.rdrand(rax), a => a.emms(), a => a.monitor(), a => a.db(0x0f, 0x07), a => a.sysenter(), a => a.db(0x48, 0xff, 0x1b), a => a.db(0xce), a => a.db(0x06)])
        {
            var instance = new OracleCase(2);
            instance.Bytes.AddRange(TestMachine.Assemble(instance.Code.Value, write));
            instance.Registers[Gpr.Rbx] = TestMachine.DataStart.Value;
            foreach (var form in (ExecutionForms[])[ExecutionForms.Fast, ExecutionForms.Precise, ExecutionForms.Single]) VectorOf(instance, form).ShouldBe(Traps.InvalidOpcode, $"{form}: {instance}");
        }
    }

    [Fact]
    public void Lock_is_undefined_wherever_it_is_not_legal()
    {
        var draw = new Draw(4);
        var legal = 0;
        foreach (var code in ClaimedCodes.All)
        {
            for (var attempt = 0; attempt < 4; attempt++)
            {
                var instance = ClaimedCodes.Instance(code, draw, 1).ShouldNotBeNull();
                var instruction = instance.Instructions[0];
                if (instruction.HasLockPrefix || instance.Bytes.Count >= InstructionFetch.LongestInstruction) continue;
                instance.Bytes.Insert(0, 0xf0);
                var isLegal = code.ToOpCode().CanUseLockPrefix && instruction.Op0Kind == OpKind.Memory;
                if (isLegal) legal++;
                var vector = VectorOf(instance, draw.Of(ExecutionForms.Fast, ExecutionForms.Single));
                if (isLegal) vector.ShouldNotBe(Traps.InvalidOpcode, instance.ToString());
                else vector.ShouldBe(Traps.InvalidOpcode, instance.ToString());
            }
        }

        legal.ShouldBeGreaterThan(50);
    }

    /// <summary>The vector of the trap that ended it, INT3 behind it if nothing else; -1 for an exit.</summary>
    private static int VectorOf(OracleCase instance, ExecutionForms form)
    {
        using var machine = new TestMachine();
        machine.Memory.Map(instance.Code, 2 * GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(instance.Data - 0x1000, 0x2000, PagePermissions.Read | PagePermissions.Write);
        machine.Memory.Map(instance.StackEnd - 0x1000, 0x2000, PagePermissions.Read | PagePermissions.Write);
        machine.Code.Poke(instance.Code, [.. instance.Bytes, 0xcc]);
        if (form == ExecutionForms.Single) machine.Code.MakeDirty(instance.Code);
        for (var i = 0; i < 16; i++) machine.Cpu->Registers[i] = instance.Registers[i];
        Interpreter.WriteFlags(machine.Cpu, instance.Flags);
        machine.Cpu->Rip = instance.Code.Value;
        machine.Run(form == ExecutionForms.Precise ? 1 : 2);
        return machine.Cpu->Exit == ExecutionExit.Trap ? machine.Cpu->TrapVector : -1;
    }
}
