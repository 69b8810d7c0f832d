using LivePatchLab.Linux;
using LivePatchLab.Machine;
using LivePatchLab.Patching;

namespace LivePatchLab.Exploration.Tests;

/// <summary>
/// A few CPUs that do a few things at random: variables, locks, code, syncs, interrupts. What each saw goes into its registers, so two executions that end in the same state cannot be told
/// apart by anybody.
/// </summary>
internal sealed class RandomScenario(int seed, MemoryOrder order = MemoryOrder.SequentiallyConsistent) : Scenario
{
    private static readonly GuestAddress Code = new(0xffffffff81000000), Stack = new(0xffffffff82000000);
    private readonly int _cpus = 2 + (seed % 2);

    public override string Name => $"random {seed}";

    public override int Cpus => _cpus;

    public override MemoryOrder MemoryOrder => order;

    public override Invariants CheckedUnder(FetchModel model) => Invariants.None;

    public override void LayOut(SmpMachine machine)
    {
        machine.Memory.Map(Code, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        machine.Memory.Map(Stack, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);

        // mov eax, 0x11111111 across an eight-byte boundary, and once more; then done.
        machine.Memory.Load(Code + 5, [0xb8, 0x11, 0x11, 0x11, 0x11, 0x01, 0xc3, 0xb8, 0x11, 0x11, 0x11, 0x11, 0x8d, 0x1c, 0x43, 0x0f, 0x05]);
        machine.SystemCall = cpu => cpu.StopGuest();
    }

    public override void Begin(ScenarioRun run)
    {
        run.Machine.DeclareVolatile(Code, 64);
        var variables = new[] { new KernelVariable<int>("a", 0), new KernelVariable<int>("b", 0) };
        var mutex = new KernelLock("mutex");
        var random = new System.Random(seed);
        for (var i = 0; i < _cpus; i++)
        {
            var cpu = run.Machine.Cpus[i];
            if (i == _cpus - 1 && seed % 3 != 0) cpu.StartGuest(Code + 5, Stack + 1024);
            else cpu.Start($"routine {i}", Steps(run.Kernel, cpu, variables, mutex, [.. Enumerable.Range(0, _cpus == 2 ? 4 : 2).Select(_ => random.Next(9))]));
            if (seed % 5 == 0 && i == 1) cpu.ArmInterrupt("timer", c => Steps(run.Kernel, c, variables, mutex, [0, 1]));
            if (seed % 7 == 0 && i == 1) cpu.ArmInterrupt("nmi", c => Steps(run.Kernel, c, variables, mutex, [1]), isNmi: true);
        }
    }

    private static IEnumerable<KernelStep> Steps(LinuxKernel kernel, Cpu cpu, KernelVariable<int>[] variables, KernelLock mutex, int[] kinds)
    {
        for (var i = 0; i < kinds.Length; i++)
        {
            var variable = variables[(kinds[i] + i) % 2];
            switch (kinds[i])
            {
                case 0:
                    yield return variable.Store((cpu.Id.Index * 10) + i + 1);
                    break;
                case 1 or 2:
                    var load = variable.Load();
                    yield return load;
                    cpu.Registers[8] = (cpu.Registers[8] * 101) + (ulong)load.Value + 1;
                    break;
                case 3:
                    yield return variable.Update("* 3 + 1", v => (v * 3) + 1 + cpu.Id.Index);
                    break;
                case 4:
                    yield return mutex.Acquire();
                    yield return variable.Store(77 + cpu.Id.Index);
                    yield return mutex.Release();
                    break;
                case 5:
                    yield return new StoreCode(Code + 6, new byte[] { 0x22, 0x22, 0x22, (byte)(0x20 + i) }, 0);
                    break;
                case 6:
                    yield return new RunSync(kernel);
                    break;
                case 7:
                    yield return InterruptFlag.Off;
                    yield return variable.Store(5);
                    yield return InterruptFlag.On;
                    break;
                default:
                    yield return Fence.Full;
                    yield return new StoreCode(Code + 12, new byte[] { 0xb8, 0x33 }, 0);
                    break;
            }
        }
    }
}
