namespace LivePatchLab.Machine.Tests;

/// <summary>No bytes whatever that a guest executes make the interpreter throw: faults are values.</summary>
public unsafe class RandomBytesTests
{
    private const int Seeds = 50, StartsPerSeed = 2000;

    public static TheoryData<ulong> SeedsOfBytes => [.. Enumerable.Range(1, Seeds).Select(i => (ulong)i)];

    [Theory]
    [MemberData(nameof(SeedsOfBytes))]
    public void Random_bytes_run_fault_or_stop_but_never_throw(ulong seed)
    {
        var draw = new Draw(seed);
        using var machine = new TestMachine();
        var writable = new GuestAddress(0x50_0000);
        machine.Memory.Map(writable, 0x2000, PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);
        machine.Memory.Map(new GuestAddress(0xffff_ffff_ffff_f000), 0x1000, PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);
        machine.Memory.Map(new GuestAddress(0x7fff_f000), 0x1000, PagePermissions.Read | PagePermissions.Write | PagePermissions.Execute);
        for (var start = 0; start < StartsPerSeed; start++)
        {
            if (start % 200 == 0)
            {
                machine.Code.Poke(TestMachine.CodeStart, draw.Bytes(0x2000));
                machine.Code.Poke(writable, draw.Bytes(0x2000));
            }

            var cpu = machine.Cpu;
            for (var i = 0; i < 16; i++) cpu->Registers[i] = draw.Below(3) switch
            {
                0 => draw.Interesting(),
                1 => (draw.OneIn(2) ? TestMachine.DataStart : writable).Value + (ulong)draw.Below(0x2000),
                _ => draw.Of<ulong>(0xffff_ffff_ffff_fff8, 0x7fff_fffc, 0x8000_0000UL, 0x7fff_ffff_ffff),
            };
            Interpreter.WriteFlags(cpu, draw.Bits64() & (draw.OneIn(8) ? ulong.MaxValue : ~(ulong)SystemFlag.Trap));
            cpu->UserMode = draw.Below(2);
            cpu->Rip = draw.OneIn(20) ? draw.Of<ulong>(0x7fff_fffe, 0xffff_ffff_ffff_fffe, 0x40_fff8)
                : (draw.OneIn(2) ? TestMachine.CodeStart : writable).Value + (ulong)draw.Below(0x2000);
            cpu->Current = null;
            if (draw.OneIn(10)) machine.Code.MakeDirty(new GuestAddress(cpu->Rip));

            var retired = machine.Interpreter.Run(cpu, draw.Of(1, 7, 100));
            retired.ShouldBeInRange(0, 100, $"seed {seed}, start {start}");
        }
    }
}
