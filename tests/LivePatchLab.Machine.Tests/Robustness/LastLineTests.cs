namespace LivePatchLab.Machine.Tests;

/// <summary>A store to the last line of all ends at address 0, which is less than where it begins: whoever goes over the lines of a store counts them.</summary>
public sealed class LastLineTests : IDisposable
{
    private const int LineBytes = 64;

    private static readonly GuestAddress Page = new(unchecked((ulong)-GuestMemory.PageBytes)), Last = Page + (GuestMemory.PageBytes - LineBytes);

    private readonly SmpMachine _machine = new(new MachineOptions { Cpus = 2, Fetch = FetchModel.SdmWorst, Choices = new SeededChoices(new Seed(1)) });

    public LastLineTests() => _machine.Memory.Map(Page, GuestMemory.PageBytes, LoneCpu.ReadExecute);

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void A_machine_that_is_brought_back_has_it_as_it_was()
    {
        var snapshot = _machine.TakeSnapshot();
        _machine.Restore(snapshot);
        Store();
        _machine.Memory.Read(Last, 1).ShouldBe([0xcc], "the control");
        _machine.Restore(snapshot);
        _machine.Memory.Read(Last, LineBytes).ShouldAllBe(value => value == 0);
    }

    /// <summary>What a guest's store to code touches is taken from above, and may go over the end.</summary>
    [Fact]
    public void A_store_over_the_end_touches_the_first_line_too()
    {
        _machine.Restore(_machine.TakeSnapshot());
        var log = _machine.Accesses!;
        log.Clear();
        log.WriteLines(Last + (LineBytes - 4), 8);
        log.Accesses.ToArray().ShouldBe([new(AccessLog.LineOf(Last.Value), AccessKind.Write), new(AccessLog.LineOf(0), AccessKind.Write)]);
    }

    [Fact]
    public void A_store_to_it_is_one_to_code_that_was_not_named_unless_it_was()
    {
        _machine.Restore(_machine.TakeSnapshot());
        Store();
        _machine.UndeclaredStores.ShouldBe(1);
        _machine.IsVolatile(Last.Value).ShouldBeTrue();

        _machine.ForgetUndeclaredStores();
        _machine.IsVolatile(Last.Value).ShouldBeFalse();
        _machine.DeclareVolatile(Last, LineBytes);
        _machine.IsVolatile(Last.Value).ShouldBeTrue();
        Store();
        _machine.UndeclaredStores.ShouldBe(1);
    }

    private void Store() => _machine.TryStoreCode(_machine.Cpus[0], Last, [.. Enumerable.Repeat((byte)0xcc, LineBytes)]).ShouldBeTrue();
}
