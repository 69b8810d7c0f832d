using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Patching.Tests;

/// <summary>
/// Each instruction that the handler emulates is executed for real at one place, and at another by INT3 and the handler: registers, flags and stack
/// must end up the same, measured from the instruction's own address.
/// </summary>
public sealed class EmulationTests : IDisposable
{
    private const int Middle = 0x800;

    private static readonly GuestAddress Real = new(0x10000), Emulated = new(0x20000), Stack = new(0x30000);

    private readonly SmpMachine _machine = new(new MachineOptions { Cpus = 1 });

    public EmulationTests()
    {
        _machine.Memory.Map(Real, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        _machine.Memory.Map(Emulated, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Execute);
        _machine.Memory.Map(Stack, GuestMemory.PageBytes, PagePermissions.Read | PagePermissions.Write);
    }

    public static TheoryData<string> Instructions() =>
    [
        "e8 10 00 00 00", "e8 f0 ff ff ff", "e9 20 00 00 00", "e9 e0 ff ff ff", "eb 05", "eb f5", "eb 03 cc cc cc", "66 90", "0f 1f 44 00 00",
        "c3", "c3 cc cc cc cc", "e9 10 00 00 00 cc",
    ];

    public void Dispose() => _machine.Dispose();

    [Theory]
    [MemberData(nameof(Instructions))]
    public void What_is_emulated_is_what_the_processor_does(string code)
    {
        var bytes = Convert.FromHexString(code.Replace(" ", "", StringComparison.Ordinal));
        for (ulong alignment = 0; alignment < 16; alignment += 8)
            Run(Emulated, bytes, flags: 2, alignment).ShouldBe(Run(Real, bytes, flags: 2, alignment), $"{code}, stack + {alignment}");
    }

    [Fact]
    public void Every_condition_of_short_and_long_jumps_is_emulated_under_all_flags()
    {
        var taken = 0;
        for (var condition = 0; condition < 16; condition++)
        {
            foreach (var code in new byte[][] { [(byte)(0x70 + condition), 0x20], [0x0f, (byte)(0x80 + condition), 0x20, 0, 0, 0] })
            {
                Place(Real, code);
                Place(Emulated, code);
                for (var set = 0; set < 32; set++)
                {
                    var flags = 2 | ((ulong)(set & 1)) | ((ulong)(set >> 1 & 1) << 2) | ((ulong)(set >> 2 & 1) << 6) | ((ulong)(set >> 3 & 1) << 7) | ((ulong)(set >> 4 & 1) << 11);
                    var real = Go(Real, flags, 0);
                    Go(Emulated, flags, 0).ShouldBe(real, $"{Convert.ToHexString(code)} with flags {flags:x}");
                    if (real.Rip > 0x20) taken++;
                }
            }
        }

        taken.ShouldBe(16 * 2 * 32 / 2, "each condition holds under half of the flags, together with its opposite");
    }

    [Fact]
    public void An_explicit_int3_is_not_consumed()
    {
        Place(Emulated, [0xcc]);
        Start(Emulated, 2, 0);
        _machine.Run().ShouldBe(MachineStop.Fault);
        _machine.Fault!.Vector.ShouldBe(TrapVector.Breakpoint);
    }

    [Theory]
    [InlineData("31 c0")]
    [InlineData("55")]
    [InlineData("90")]
    [InlineData("2e 2e 2e 31 c0")]
    [InlineData("cc cc cc cc cc")]
    [InlineData("eb 03 90 90 90")]
    [InlineData("ff 25 00 00 00 00")]
    [InlineData("0f 1f 40 00")]
    public void What_cannot_be_emulated_is_no_location(string code)
        => TextPokeLoc.ToEmulate(SiteAt(Emulated, Convert.FromHexString(code.Replace(" ", "", StringComparison.Ordinal)))).ShouldBeNull();

    [Fact]
    public void Another_instruction_can_be_emulated_than_is_written()
    {
        // static_call(): return 0 is written, and whoever traps still makes the call.
        var site = new PatchSite(Emulated, [0xe8, 0, 0, 0, 0], [0x2e, 0x2e, 0x2e, 0x31, 0xc0]) { Emulate = [0xe8, 0x10, 0, 0, 0] };
        var location = TextPokeLoc.ToEmulate(site).ShouldNotBeNull();
        (location.Opcode, location.Target).ShouldBe((TextPokeLoc.Call, Emulated + 0x15));
        location.Text.ToArray().ShouldBe([0x2e, 0x2e, 0x2e, 0x31, 0xc0]);
    }

    [Theory]
    [InlineData(0, Int3Emulation.EntryStackGapBytes, null)]
    [InlineData(0, 8, null)]
    [InlineData(0, 0, "overwrites the saved SS of its own exception frame")]
    [InlineData(8, 0, null)]
    public void A_call_needs_the_gap_that_the_entry_leaves_unless_the_frame_was_aligned(ulong alignment, int gapBytes, string? bug)
    {
        Place(Emulated, [0xe8, 0x10, 0, 0, 0], gapBytes, out var kernel);
        Start(Emulated, 2, alignment);
        _machine.Run().ShouldBe(bug is null ? MachineStop.Idle : MachineStop.Requested);
        if (bug is null) kernel.Bug.ShouldBeNull();
        else kernel.Bug.ShouldNotBeNull().ShouldContain(bug);
    }

    [Fact]
    public void A_call_without_a_stack_is_a_page_fault_of_the_handler()
    {
        Place(Emulated, [0xe8, 0x10, 0, 0, 0], Int3Emulation.EntryStackGapBytes, out var kernel);
        _machine.Cpus[0].StartGuest(Emulated + Middle, new(0x50000));
        _machine.Run();
        kernel.Bug.ShouldBe("int3_emulate_push: page fault on CPU0: nothing is mapped at 4fff8");
    }

    private static PatchSite SiteAt(GuestAddress address, byte[] code) => new(address, code, code);

    private Outcome Run(GuestAddress page, byte[] code, ulong flags, ulong alignment)
    {
        Place(page, code);
        return Go(page, flags, alignment);
    }

    private void Place(GuestAddress page, byte[] code) => Place(page, code, Int3Emulation.EntryStackGapBytes, out _);

    /// <summary>Fills a page with HLT and puts the code into its middle, its first byte an INT3 on the page where it is emulated.</summary>
    private void Place(GuestAddress page, byte[] code, int gapBytes, out LinuxKernel kernel)
    {
        var text = new byte[GuestMemory.PageBytes];
        text.AsSpan().Fill(0xf4);
        code.CopyTo(text, Middle);
        if (page == Emulated) text[Middle] = BreakpointState.Int3;
        kernel = new(_machine);
        _machine.TryStoreCode(_machine.Cpus[0], page, text).ShouldBeTrue();
        var emulation = new Int3Emulation(kernel, gapBytes);
        var vec = new[] { TextPokeLoc.ToEmulate(SiteAt(Emulated + Middle, code)).ShouldNotBeNull() };
        kernel.RegisterInt3Handler((cpu, regs) => emulation.Handle(cpu, regs, vec, 1));
    }

    private Outcome Go(GuestAddress page, ulong flags, ulong alignment)
    {
        Start(page, flags, alignment);
        _machine.Run().ShouldBe(MachineStop.Idle);
        var cpu = _machine.Cpus[0];
        var pushed = _machine.Memory.ReadUInt64(new(cpu.Rsp));
        return new(cpu.Rip - (page + Middle), cpu.Rsp, cpu.Rflags, pushed >= page.Value ? (long)(pushed - page.Value) : 0, cpu.Rax);
    }

    private void Start(GuestAddress page, ulong flags, ulong alignment)
    {
        var cpu = _machine.Cpus[0];
        var top = Stack + Middle + (long)alignment;

        // For RET: somewhere on the same page.
        _machine.Memory.LoadUInt64(top, (page + 0x100).Value);
        cpu.Rax = 0x1234;
        cpu.Rflags = flags | 0x200;
        cpu.StartGuest(page + Middle, top);
    }

    /// <param name="Rip">Behind the HLT, from the instruction.</param>
    /// <param name="Rsp">The stack pointer.</param>
    /// <param name="Rflags">All flags.</param>
    /// <param name="Top">What RSP points to, from the page of the code.</param>
    /// <param name="Rax">A register that has no part in it.</param>
    private sealed record Outcome(long Rip, ulong Rsp, ulong Rflags, long Top, ulong Rax);
}
