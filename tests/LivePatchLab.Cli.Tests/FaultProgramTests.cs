using System.Runtime.InteropServices;
using LivePatchLab.Linux;
using LivePatchLab.Machine;

namespace LivePatchLab.Cli.Tests;

/// <summary>Small programs that fault, or nearly do, as people have met them: each ends in every engine with the status that it has on a processor under Linux.</summary>
public sealed class FaultProgramTests
{
    private const int IllegalInstruction = 132, Trap = 133, BusError = 135, SegmentationFault = 139, Good = 42;

    // mov edi, 42; mov eax, 60; syscall
    private static readonly byte[] ExitGood = [0xbf, Good, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];

    // mov edi, ebx; mov eax, 60; syscall
    private static readonly byte[] ExitWithRbx = [0x89, 0xdf, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];

    // mov rbx, rsp; push 0x2b; push rbx; pushf; push CS; lea rax, [rip + 3]; push rax; iretq
    private static byte[] ReturnTo(byte cs) => [0x48, 0x89, 0xe3, 0x6a, 0x2b, 0x53, 0x9c, 0x6a, cs, 0x48, 0x8d, 5, 3, 0, 0, 0, 0x50, 0x48, 0xcf];

    // push CS; lea rax, [rip + 3]; push rax; retfq
    private static byte[] FarReturnTo(byte cs) => [0x6a, cs, 0x48, 0x8d, 5, 3, 0, 0, 0, 0x50, 0x48, 0xcb];

    // lea rax, [rip + 15]; push CS; shl qword [rsp], 32; add [rsp], rax; jmp far [rsp]: an offset of 32 bits before the selector
    private static byte[] FarJumpTo(byte cs) => [0x48, 0x8d, 5, 14, 0, 0, 0, 0x6a, cs, 0x48, 0xc1, 0x24, 0x24, 32, 0x48, 1, 4, 0x24, 0xff, 0x2c, 0x24];

    private static readonly Dictionary<string, (byte[] Code, int Status)> Programs = new()
    {
        // xor eax, eax; rdsspq rax; rdsspd eax
        ["RDSSP without CET is a NOP"] = ([0x31, 0xc0, 0xf3, 0x48, 0x0f, 0x1e, 0xc8, 0xf3, 0x0f, 0x1e, 0xc8, 0x01, 0xc7, .. ExitGood], Good),

        // nop [rax] of every number in 0F 19 to 0F 1F, with a prefix that other processors give a meaning
        ["hints are NOPs"] = ([0x31, 0xc0, 0x0f, 0x19, 0x08, 0x66, 0x0f, 0x1a, 0x10, 0xf3, 0x0f, 0x1b, 0x18, 0xf2, 0x0f, 0x1c, 0x20, 0x66, 0x0f, 0x1d, 0x28, 0xf3, 0x0f, 0x1e, 0x38, 0x0f, 0x1f, 0x38, .. ExitGood], Good),

        // lea rdi, [rip + 12]; mov al, 0x90; mov ecx, 10; mov ebx, 10; rep stosb; inc ebx, four times
        ["a REP STOSB that overwrites itself is done"] = ([0x48, 0x8d, 0x3d, 12, 0, 0, 0, 0xb0, 0x90, 0xb9, 10, 0, 0, 0, 0xbb, 10, 0, 0, 0, 0xf3, 0xaa, 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, .. ExitWithRbx], 10),

        // lea rsi, [rip + 24]; lea rdi, [rip + 11]; mov ecx, 5; xor ebx, ebx; rep movsd; ten times inc ebx, and behind the end twenty NOPs
        ["a REP MOVSD that overwrites itself is done"] = ([0x48, 0x8d, 0x35, 45, 0, 0, 0, 0x48, 0x8d, 0x3d, 7, 0, 0, 0, 0xb9, 5, 0, 0, 0, 0x31, 0xdb, 0xf3, 0xa5,
            0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, .. ExitWithRbx,
            0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90], 1),
        ["INT1"] = ([0xf1, .. ExitGood], Trap),

        // pushf; or dword [rsp], 0x100; popf; nop; nop
        ["a single step"] = ([0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0x90, 0x90, .. ExitGood], Trap),

        // movabs rsp, 1 << 63, and then push rax; pop rax; call; mov eax, [rsp]; mov eax, [rbp], which is in the stack segment as well
        ["a PUSH to a stack that is not canonical"] = ([0x48, 0xbc, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x50], BusError),
        ["a POP from it"] = ([0x48, 0xbc, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x58], BusError),
        ["a CALL on it"] = ([0x48, 0xbc, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xe8, 0, 0, 0, 0], BusError),
        ["a load from it"] = ([0x48, 0xbc, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x8b, 4, 0x24], BusError),
        ["a load by RBP that is not canonical"] = ([0x48, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x8b, 0x45, 0], BusError),
        ["a load by RAX that is not canonical"] = ([0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x8b, 0], SegmentationFault),
        ["sixteen bytes"] = ([0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90, .. ExitGood], SegmentationFault),
        ["fifteen bytes"] = ([0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90, .. ExitGood], Good),
        ["fifteen bytes that are no instruction"] = ([0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x0f, 0x04, .. ExitGood], IllegalInstruction),
        ["IRETQ to 64-bit code"] = ([.. ReturnTo(0x33), .. ExitGood], Good),
        ["IRETQ to 32-bit code"] = ([.. ReturnTo(0x23), .. ExitGood], IllegalInstruction),
        ["IRETQ to data"] = ([.. ReturnTo(0x2b), .. ExitGood], SegmentationFault),
        ["IRETQ to the kernel's code"] = ([.. ReturnTo(0x13), .. ExitGood], SegmentationFault),
        ["a far RET to 64-bit code"] = ([.. FarReturnTo(0x33), .. ExitGood], Good),
        ["a far RET to 32-bit code"] = ([.. FarReturnTo(0x23), .. ExitGood], IllegalInstruction),
        ["a far JMP to 64-bit code"] = ([.. FarJumpTo(0x33), .. ExitGood], Good),
        ["a far JMP to 32-bit code"] = ([.. FarJumpTo(0x23), .. ExitGood], IllegalInstruction),
        ["a far JMP to data"] = ([.. FarJumpTo(0x2b), .. ExitGood], SegmentationFault),

        // xor eax, eax; clflush [rax], clflushopt [rax], clwb [rax]
        ["CLFLUSH of nothing"] = ([0x31, 0xc0, 0x0f, 0xae, 0x38, .. ExitGood], SegmentationFault),
        ["CLFLUSHOPT of nothing"] = ([0x31, 0xc0, 0x66, 0x0f, 0xae, 0x38, .. ExitGood], SegmentationFault),
        ["CLWB of nothing"] = ([0x31, 0xc0, 0x66, 0x0f, 0xae, 0x30, .. ExitGood], SegmentationFault),
        ["CLFLUSH of the stack"] = ([0x0f, 0xae, 0x3c, 0x24, .. ExitGood], Good),

        // mov r8d, 7; xor ebx, ebx; xor eax, eax; F3 41 90; mov ebx, eax
        ["F3 41 90 exchanges"] = ([0x41, 0xb8, 7, 0, 0, 0, 0x31, 0xc0, 0xf3, 0x41, 0x90, 0x89, 0xc3, .. ExitWithRbx], 7),
        ["F3 90 does not"] = ([0x41, 0xb8, 7, 0, 0, 0, 0x31, 0xc0, 0xf3, 0x90, 0x89, 0xc3, .. ExitWithRbx], 0),
    };

    public static TheoryData<string> Names => [.. Programs.Keys];

    /// <summary>Where the lab is not as a processor is, or not every processor alike (QUIRKS.md): 32-bit code, and which of the two F3 41 90 is.</summary>
    private static readonly string[] OwnWays = ["IRETQ to 32-bit code", "a far RET to 32-bit code", "a far JMP to 32-bit code", "F3 41 90 exchanges"];

    [Theory]
    [MemberData(nameof(Names))]
    public void It_ends_in_every_engine_as_on_a_processor(string name)
    {
        var (code, status) = Programs[name];
        var engines = 0;
        foreach (var engine in Enum.GetValues<ExecutionEngine>())
        {
            if (StatusIn(engine, code) is not { } found) continue;
            found.ShouldBe(status, $"{name}, {engine}");
            engines++;
        }

        engines.ShouldBeGreaterThanOrEqualTo(2);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void That_is_how_it_ends_on_this_processor(string name)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64 || OwnWays.Contains(name)) return;
        var (code, status) = Programs[name];
        using var folder = new TemporaryFolder();
        var program = folder.Write("tiny", TinyProgram.Of(code, isWritable: true));
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        Livepatch.Start(program).Status.ShouldBe(status, name);
    }

    [Theory]
    [InlineData("INT1", "#DB", "SIGTRAP")]
    [InlineData("a PUSH to a stack that is not canonical", "#SS", "SIGBUS")]
    public void The_signal_is_named(string name, string vector, string signal)
    {
        var (code, status) = Programs[name];
        using var folder = new TemporaryFolder();
        Livepatch.Run("run", folder.Write("tiny", TinyProgram.Of(code))).ShouldComplain(status, vector, $"({signal})");
    }

    /// <summary>Null where the engine is not to be had here.</summary>
    private static int? StatusIn(ExecutionEngine engine, byte[] code)
    {
        const long CyclesMax = 1_000_000;
        SmpMachine machine;
        try
        {
            machine = new(new() { Cpus = 1, Engine = engine });
        }
        catch (PlatformNotSupportedException)
        {
            return null;
        }

        using (machine)
        {
            var program = new UserProgram(machine, ProgramImage.Parse(TinyProgram.Of(code, isWritable: true), "tiny"), [], Stream.Null, Stream.Null);
            machine.Run(clockLimitCycles: CyclesMax);
            return program.End.ShouldNotBeNull().Status;
        }
    }
}
