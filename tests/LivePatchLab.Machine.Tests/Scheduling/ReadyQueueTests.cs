using FsCheck;
using FsCheck.Fluent;

namespace LivePatchLab.Machine.Tests;

public sealed class ReadyQueueTests
{
    [Fact]
    public void It_gives_the_cpu_furthest_behind_as_a_sorted_list_would()
    {
        const int Cpus = 9;
        var operation = Gen.Choose(0, Cpus - 1).SelectMany(cpu => Gen.Choose(-1, 12).Select(clock => (cpu, clock)));
        Prop.ForAll(operation.ListOf().ToArbitrary(), operations =>
        {
            var queue = new ReadyQueue(Cpus);
            var model = new Dictionary<int, long>();
            foreach (var (cpu, clock) in operations)
            {
                if (clock < 0)
                {
                    queue.Remove(cpu);
                    model.Remove(cpu);
                }
                else if (clock == 12 && model.Count > 0)
                {
                    var first = model.OrderBy(e => e.Value).ThenBy(e => e.Key).First();
                    queue.FirstClock.ShouldBe(first.Value);
                    queue.FirstCpu.ShouldBe(first.Key);
                    queue.TakeFirst().ShouldBe(first.Key);
                    model.Remove(first.Key);
                    queue.SecondCpu.ShouldBe(model.Count < 2 ? -1 : model.OrderBy(e => e.Value).ThenBy(e => e.Key).ElementAt(1).Key);
                    if (cpu % 2 == 0) continue;

                    // It has had a turn, and the next comes.
                    model[first.Key] = first.Value + cpu;
                    var next = model.OrderBy(e => e.Value).ThenBy(e => e.Key).First();
                    queue.Exchange(first.Key, first.Value + cpu).ShouldBe(next.Key);
                    model.Remove(next.Key);
                }
                else
                {
                    queue.Set(cpu, clock);
                    model[cpu] = clock;
                }

                queue.IsEmpty.ShouldBe(model.Count == 0);
                for (var i = 0; i < Cpus; i++) queue.Contains(i).ShouldBe(model.ContainsKey(i));
            }

            foreach (var (cpu, _) in model.OrderBy(e => e.Value).ThenBy(e => e.Key))
            {
                queue.FirstCpu.ShouldBe(cpu);
                queue.Remove(cpu);
            }
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void A_clock_that_it_cannot_count_is_refused()
    {
        var queue = new ReadyQueue(2);
        queue.Set(1, (1L << 53) - 1);
        queue.FirstClock.ShouldBe((1L << 53) - 1);
        Should.Throw<InvalidOperationException>(() => queue.Set(0, 1L << 53)).Message.ShouldContain("CPU 0");
        Should.Throw<InvalidOperationException>(() => queue.Set(0, -1));
    }
}
