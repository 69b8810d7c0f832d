using FsCheck;
using FsCheck.Fluent;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Exploration.Tests;

public class DecisionListTests
{
    [Fact]
    public void A_list_is_read_back_as_it_was_written() => Prop.ForAll<NonNegativeInt[]>(numbers =>
    {
        var list = new DecisionList(numbers.Select(n => new Decision((ChoicePoint)(n.Get % 6), n.Get / 6 % 3, 0)));
        DecisionList.Parse(list.ToString()).ShouldBe(list);
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("s1 x2", "decision 2, 'x2'")]
    [InlineData("s", "decision 1, 's'")]
    [InlineData("f1*0", "decision 1, 'f1*0'")]
    [InlineData("s-1", "decision 1, 's-1'")]
    public void What_is_no_decision_is_named(string text, string place)
        => Should.Throw<BadInputException>(() => DecisionList.Parse(text)).Message.ShouldStartWith(place);
}
