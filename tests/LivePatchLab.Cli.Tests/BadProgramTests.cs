using System.Buffers.Binary;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Cli.Tests;

/// <summary>Programs that cannot be loaded, and programs that do what none may: one clear line and the status of the kind, whatever they are.</summary>
public sealed class BadProgramTests
{
    private const int FirstHeader = 64, HeaderBytes = 56, Type = 0, Offset = 8, Address = 16, FileBytes = 32, MemoryBytes = 40;

    // mov edi, 7; mov eax, 60; syscall
    private static readonly byte[] ExitWithSeven = [0xbf, 7, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];

    [Theory]
    [InlineData(Type, 3, "dynamically linked")] // PT_INTERP
    [InlineData(Type, 2, "dynamically linked")] // PT_DYNAMIC
    [InlineData(Type, 4, "no PT_LOAD")] // PT_NOTE
    [InlineData(Address, 0x8000_0000, "outside the machine's window")]
    [InlineData(Address, 0x7fff_ffff, "outside the machine's window")]
    [InlineData(Address, unchecked((long)0xffff_ffff_7fff_f000), "outside the machine's window")]
    [InlineData(Address, long.MaxValue, "outside the machine's window")]
    [InlineData(MemoryBytes, 0x1_0000_0001, "outside the machine's window")]
    [InlineData(MemoryBytes, -1, "outside the machine's window")]
    [InlineData(MemoryBytes, 1, "more than in memory")]
    [InlineData(FileBytes, 0x10_0000, "more than in memory")]
    [InlineData(Offset, 0x10_0000, "truncated")]
    [InlineData(Offset, -1, "truncated")]
    [InlineData(Address, 0x50_0000, "its entry 400078 is in no executable segment")]
    public void A_segment_that_cannot_be_loaded_is_bad_input(int field, long value, string reason)
    {
        var program = TinyProgram.Of(ExitWithSeven);
        if (field == Type) BinaryPrimitives.WriteInt32LittleEndian(program.AsSpan(FirstHeader), (int)value);
        else BinaryPrimitives.WriteInt64LittleEndian(program.AsSpan(FirstHeader + field), value);
        ShouldBeRejected(program, reason);
    }

    [Theory]
    [InlineData(0x40_0000, "overlap")]
    [InlineData(0x40_0040, "overlap")]
    public void Segments_that_overlap_are_bad_input(long address, string reason)
    {
        // A second program header takes the place of the code, which no longer matters.
        var program = TinyProgram.Of(new byte[HeaderBytes]);
        program.AsSpan(FirstHeader, HeaderBytes).CopyTo(program.AsSpan(FirstHeader + HeaderBytes));
        BinaryPrimitives.WriteInt64LittleEndian(program.AsSpan(FirstHeader + HeaderBytes + Address), address);
        program[0x38] = 2;
        ShouldBeRejected(program, reason);
    }

    [Theory]
    [InlineData(4, 1, "32-bit")]
    [InlineData(5, 2, "big-endian")]
    [InlineData(0x10, 1, "object file")]
    [InlineData(0x12, 183, "AArch64")]
    [InlineData(0x12, 243, "RISC-V")]
    public void A_file_of_another_kind_is_bad_input(int offset, byte value, string reason)
    {
        var program = TinyProgram.Of(ExitWithSeven);
        program[offset] = value;
        ShouldBeRejected(program, reason);
    }

    [Theory]
    [InlineData(new byte[] { 0xb8, 0x00, 0x00, 0x00, 0x10, 0xff, 0xe0 }, "#PF at 10000000: nothing is mapped there; user instruction fetch")] // mov eax, 0x10000000; jmp rax: nothing there (a fetch by a user)
    [InlineData(new byte[] { 0xff, 0xe4 }, "(error code 0x15)")] // jmp rsp: the stack may not be executed
    [InlineData(new byte[] { 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xe0 }, "#GP")] // movabs rax, 1 << 63; jmp rax: no canonical address
    [InlineData(new byte[] { 0xe8, 0xfb, 0xff, 0xff, 0xff }, "(error code 0x6)")] // call itself: until the stack is full (a write by a user)
    [InlineData(new byte[] { 0x6a, 0, 0xeb, 0xfc }, "(error code 0x6)")] // push 0, again and again
    [InlineData(new byte[] { 0xc6, 0x04, 0x25, 0x78, 0x00, 0x40, 0x00, 0x90 }, "user write to 400078")] // mov byte [0x400078], 0x90: code may not be written
    [InlineData(new byte[] { 0xa1, 0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff }, "user read from ffffffff80000000")] // mov eax, [ffffffff80000000]: no kernel here
    [InlineData(new byte[] { 0x90 }, "#PF at 401000: nothing is mapped there")] // falls off the end of its page, over what add [rax], al makes of zeros
    public void A_program_that_goes_where_nothing_is_ends_as_a_shell_tells_it(byte[] code, string where)
    {
        using var folder = new TemporaryFolder();
        var program = folder.Write("astray", TinyProgram.Of([0x48, 0x8d, 0x44, 0x24, 0x80, .. code]));
        Livepatch.Run("run", program).ShouldComplain(139, "astray: CPU0: ", where, "SIGSEGV");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(39)]
    [InlineData(0x7fff_ffff)]
    public void An_unknown_system_call_is_unsupported(int number)
    {
        using var folder = new TemporaryFolder();
        var program = folder.Write("calls", TinyProgram.Of([0xb8, .. BitConverter.GetBytes(number), 0x0f, 0x05]));
        Livepatch.Run("run", program).ShouldComplain(3, $"system call {number} at ", "exit_group (231)");
    }

    [Fact]
    public void A_segment_where_the_stacks_must_be_is_bad_input()
    {
        var program = TinyProgram.Of(ExitWithSeven);
        BinaryPrimitives.WriteInt64LittleEndian(program.AsSpan(FirstHeader + Address), 0x7eff_0000);
        BinaryPrimitives.WriteInt64LittleEndian(program.AsSpan(0x18), 0x7eff_0000 + program.Length - ExitWithSeven.Length);
        using var folder = new TemporaryFolder();
        Livepatch.Run("run", folder.Write("high", program)).ShouldComplain(2, "high: its segment at 7eff0000 lies where the stacks of 1 CPUs must be");
    }

    [Fact]
    public void A_program_cut_anywhere_is_bad_input()
    {
        var program = TinyProgram.Of(ExitWithSeven);
        LoadAndRun(program).ShouldBe("");
        for (var length = 0; length < program.Length; length++) LoadAndRun(program[..length]).ShouldNotBe("", $"{length} bytes");
    }

    [Fact]
    public void Any_byte_of_the_headers_may_be_wrong()
    {
        var program = TinyProgram.Of(ExitWithSeven);
        int loaded = 0, rejected = 0;
        for (var at = 0; at < FirstHeader + HeaderBytes; at++)
        {
            var original = program[at];
            foreach (var value in (byte[])[0, 1, 0x7f, 0x80, 0xff, .. Enumerable.Range(0, 8).Select(bit => (byte)(original ^ (1 << bit)))])
            {
                program[at] = value;
                if (LoadAndRun(program).Length > 0) rejected++;
                else loaded++;
            }

            program[at] = original;
        }

        // The physical address and the version may be anything; magic, class, type, machine and sizes may not.
        (loaded, rejected).ShouldSatisfyAllConditions(both => both.loaded.ShouldBeGreaterThan(300), both => both.rejected.ShouldBeGreaterThan(300));
    }

    /// <summary>Loads a program and runs it for a while, in this process; gives the line by which it was rejected, or nothing.</summary>
    private static string LoadAndRun(byte[] program)
    {
        using var machine = new SmpMachine(new MachineOptions { Cpus = 1 });
        try
        {
            _ = new UserProgram(machine, ProgramImage.Parse(program, "tiny"), [], Stream.Null, Stream.Null);
        }
        catch (BadInputException e)
        {
            e.Message.ShouldStartWith("tiny: ");
            e.Message.ShouldNotContain('\n');
            return e.Message;
        }

        machine.Run(clockLimitCycles: 1000);
        return "";
    }

    private static void ShouldBeRejected(byte[] program, string reason) => LoadAndRun(program).ShouldContain(reason);
}
