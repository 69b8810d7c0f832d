namespace LivePatchLab.Machine.Tests;

/// <summary>Where a random program and what it touches lie, low as a user's or high as a kernel's.</summary>
internal sealed class ProgramLayout
{
    public const int CodeBytes = 0x8000, DataPages = 4, StackBytes = 0x3000;

    /// <summary>Pointers of the program lie in the middle of the data, and no operand drawn from them leaves it.</summary>
    public const int PointerBytes = 0x400;

    private const long StackStride = StackBytes + GuestMemory.PageBytes;

    public ProgramLayout(Draw draw)
    {
        var isHigh = draw.OneIn(3);
        var start = new GuestAddress(isHigh ? 0xffff_ffff_8100_0000 : 0x40_0000);
        // Now and then the code ends where the window or one of its halves does, or begins there.
        Code = draw.Below(8) switch
        {
            0 when isHigh => new(0xffff_ffff_8000_0000),
            1 when isHigh => new(unchecked(0UL - CodeBytes)),
            0 => new(0x8000_0000 - CodeBytes),
            _ => start,
        };
        IsCodeWritable = draw.OneIn(4);
        Tables = start + 0x10_0000;
        Data = start + 0x20_0000;
        ReadOnly = start + 0x21_0000;
        Executable = start + 0x22_0000;
        Stacks = start + 0x30_0000;
        Edges =
        [
            (Data + GuestMemory.PageBytes, false), (Data + (2 * GuestMemory.PageBytes), false), (Data + (3 * GuestMemory.PageBytes) + 64, false), (new(0), false),
            (Data, true), (Data + (DataPages * GuestMemory.PageBytes), true), (ReadOnly + 0x80, true), (Executable + 0x40, true), (Executable, true),
            (new(0x7fff_ffff), true), (new(0xffff_ffff_8000_0000), true), (new(0x7fff_ffff_fffe), true), (new(0xffff_8000_0000_0000), true), (new(0x1234_5678_9abc_def0), true),
        ];
    }

    public GuestAddress Code { get; }

    /// <summary>Targets of indirect jumps and calls.</summary>
    public GuestAddress Tables { get; }

    public GuestAddress Data { get; }

    public GuestAddress ReadOnly { get; }

    /// <summary>A page that may be written and executed.</summary>
    public GuestAddress Executable { get; }

    public bool IsCodeWritable { get; }

    /// <summary>Places around which accesses cross from one page into another, and whether they fault there or are stores to code.</summary>
    public IReadOnlyList<(GuestAddress Address, bool IsCostly)> Edges { get; }

    private GuestAddress Stacks { get; }

    public GuestAddress StackTop(int cpu) => Stacks + (cpu * StackStride) + StackBytes - 64;

    /// <summary>Each CPU has its own piece of the data under GS, as in a kernel.</summary>
    public GuestAddress GsBase(int cpu) => Data + 0x2000 + (cpu * 0x100);

    public GuestAddress FsBase => Data + 0x2800;

    public void MapInto(SmpMachine machine, RandomProgram program, Draw draw)
    {
        const PagePermissions ReadWrite = PagePermissions.Read | PagePermissions.Write, ReadExecute = PagePermissions.Read | PagePermissions.Execute;
        var memory = machine.Memory;
        memory.Map(Code, CodeBytes, IsCodeWritable ? ReadExecute | PagePermissions.Write : ReadExecute);
        memory.Load(Code, program.Bytes);
        memory.Map(Tables, GuestMemory.PageBytes, PagePermissions.Read);
        for (var i = 0; i < program.Table.Count; i++) memory.LoadUInt64(Tables + (8 * i), program.Table[i]);
        memory.Map(Data, DataPages * GuestMemory.PageBytes, ReadWrite);
        memory.Load(Data, draw.Bytes(DataPages * GuestMemory.PageBytes));
        memory.Map(ReadOnly, GuestMemory.PageBytes, PagePermissions.Read);
        memory.Map(Executable, GuestMemory.PageBytes, ReadExecute | PagePermissions.Write);
        foreach (var cpu in machine.Cpus) memory.Map(StackTop(cpu.Id.Index).AlignDown(GuestMemory.PageBytes) - (StackBytes - GuestMemory.PageBytes), StackBytes, ReadWrite);

        // Around address 0, where one half of the window goes over into the other.
        memory.Map(new(0), GuestMemory.PageBytes, ReadWrite);
        if (memory.PermissionsAt(new(0xffff_ffff_ffff_f000)) is null) memory.Map(new(0xffff_ffff_ffff_f000), GuestMemory.PageBytes, ReadWrite);
    }
}
