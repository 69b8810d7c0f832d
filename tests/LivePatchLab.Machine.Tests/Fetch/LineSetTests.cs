namespace LivePatchLab.Machine.Tests;

public class LineSetTests
{
    [Fact]
    public void A_line_is_there_once_from_its_adding_to_its_removal()
    {
        var lines = new LineSet();

        lines.Contains(0xffffffff81000100).ShouldBeFalse();
        lines.Add(0xffffffff81000100).ShouldBeTrue();
        lines.Add(0xffffffff81000100).ShouldBeFalse();
        lines.Contains(0xffffffff81000100).ShouldBeTrue();
        lines.Contains(0xffffffff81000140).ShouldBeFalse();
        lines.Remove(0xffffffff81000100);
        lines.Contains(0xffffffff81000100).ShouldBeFalse();
        lines.Add(0xffffffff81000100).ShouldBeTrue();
    }

    [Fact]
    public void Line_0_is_a_line_like_any_other()
    {
        var lines = new LineSet();

        lines.Contains(0).ShouldBeFalse();
        lines.Add(0).ShouldBeTrue();
        lines.Contains(0).ShouldBeTrue();
    }

    /// <summary>Lines a multiple of any table's size apart want the same place in it.</summary>
    [Theory]
    [InlineData(64)]
    [InlineData(64 * 16)]
    [InlineData(64 * 1024)]
    public void Lines_that_come_and_go_in_any_order_are_those_of_a_set(ulong distance)
    {
        var lines = new LineSet();
        var expected = new HashSet<ulong>();
        var choices = new SeededChoices(new Seed(distance));
        for (var i = 0; i < 2000; i++)
        {
            var line = 0xffffffff81000000 + ((ulong)choices.Choose(ChoicePoint.Workload, 60) * distance);
            if (choices.Choose(ChoicePoint.Workload, 3) > 0)
            {
                lines.Add(line).ShouldBe(expected.Add(line));
            }
            else
            {
                lines.Remove(line);
                expected.Remove(line);
            }

            for (var at = 0UL; at < 60; at++) lines.Contains(0xffffffff81000000 + (at * distance)).ShouldBe(expected.Contains(0xffffffff81000000 + (at * distance)));
        }
    }
}
