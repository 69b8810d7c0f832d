namespace LivePatchLab.Machine.Tests;

public class InstructionTableTests
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
}
