using System.Text;
using LivePatchLab.Machine;

namespace LivePatchLab.Linux;

/// <summary>How a program ended.</summary>
/// <param name="Status">Its own status; 128 and the signal's number after a fault, as a shell shows it.</param>
/// <param name="Message">What to tell the user where it did not end by itself, or null.</param>
/// <param name="IsUnsupported">True when it asked for what the lab does not have.</param>
public sealed record ProgramEnd(int Status, string? Message = null, bool IsUnsupported = false);

/// <summary>
/// A static freestanding program on a machine of its own. Every CPU starts at the entry with a stack of its own, RDI = its
/// number, RSI = how many there are. System calls: write, exit (ends the CPU), exit_group (ends the machine).
/// </summary>
public sealed class UserProgram
{
    private const long StackBytes = 1 << 20;
    private const long StackStride = StackBytes + GuestMemory.PageBytes;
    private const int Ebadf = -9;
    private const int SysWrite = 1, SysExit = 60, SysExitGroup = 231;

    /// <summary>Stacks grow down from here, one below the other, an unmapped page between two.</summary>
    private static readonly GuestAddress StacksEnd = new(0x7f00_0000);

    private readonly SmpMachine _machine;
    private readonly ProgramImage _image;
    private readonly Stream _output;
    private readonly Stream _errors;
    private ProgramEnd? _end;
    private int _status;

    /// <param name="machine">A new machine; the program is laid into its memory.</param>
    /// <param name="image">The program.</param>
    /// <param name="arguments">Its arguments, without its name.</param>
    /// <param name="output">Where what it writes to file 1 goes.</param>
    /// <param name="errors">Where what it writes to file 2 goes.</param>
    /// <exception cref="BadInputException">The program lies where the stacks must be.</exception>
    public UserProgram(SmpMachine machine, ProgramImage image, IReadOnlyList<string> arguments, Stream output, Stream errors)
    {
        _machine = machine;
        _image = image;
        _output = output;
        _errors = errors;
        var stacks = StacksEnd - (machine.Cpus.Count * StackStride);
        foreach (var segment in image.Segments)
        {
            if (segment.Address < StacksEnd && segment.Address + segment.Length > stacks)
                throw new BadInputException($"{image.Source}: its segment at {segment.Address} lies where the stacks of {machine.Cpus.Count} CPUs must be, {stacks} to {StacksEnd}; link it below that");
        }

        image.LoadInto(machine.Memory);
        machine.SystemCall = DoSystemCall;
        machine.CodeMap = new ProgramCodeMap(image);
        foreach (var cpu in machine.Cpus) Start(cpu, arguments);
    }

    /// <summary>Runs the program to its end.</summary>
    public ProgramEnd Run(CancellationToken cancellation = default)
    {
        _machine.Run(cancellation: cancellation);
        _output.Flush();
        _errors.Flush();

        // HLT needs a privilege that programs do not have, so what is left is that every CPU has called exit.
        return End ?? new(_status);
    }

    /// <summary>How the program has ended; null while some CPU can go on.</summary>
    public ProgramEnd? End => _end ?? (_machine.Fault is { } fault ? EndOf(fault) : _machine.Cpus.All(cpu => cpu.Activity == CpuActivity.Parked) ? new(_status) : null);

    private ProgramEnd EndOf(GuestFault fault)
    {
        var (signal, name) = fault.Vector switch
        {
            TrapVector.InvalidOpcode => (4, "SIGILL"),
            TrapVector.Breakpoint or TrapVector.Debug => (5, "SIGTRAP"),
            TrapVector.StackFault => (7, "SIGBUS"),
            TrapVector.DivideError => (8, "SIGFPE"),
            _ => (11, "SIGSEGV"),
        };
        return new(128 + signal, $"{_image.Source}: {fault} ({name})");
    }

    private void Start(Cpu cpu, IReadOnlyList<string> arguments)
    {
        var top = StacksEnd - (cpu.Id.Index * StackStride);
        _machine.Memory.Map(top - StackBytes, StackBytes, PagePermissions.Read | PagePermissions.Write);
        var words = new List<ulong> { (ulong)arguments.Count + 1 };
        var at = top;
        foreach (var text in arguments.Prepend(_image.Source))
        {
            var bytes = Encoding.UTF8.GetBytes(text + "\0");
            at -= bytes.Length;
            if (top - at > StackBytes / 4) throw new BadInputException($"{_image.Source}: its arguments are longer than the {StackBytes / 4} bytes that its stack has for them");
            _machine.Memory.Load(at, bytes);
            words.Add(at.Value);
        }

        // argc, argv, NULL; no environment, NULL; one auxiliary entry, AT_NULL (System V ABI, AMD64 supplement, 3.4.1).
        words.AddRange([0, 0, 0, 0]);
        var stack = (at - (8 * words.Count)).AlignDown(16);
        for (var i = 0; i < words.Count; i++) _machine.Memory.LoadUInt64(stack + (8 * i), words[i]);
        cpu.StartGuest(_image.Entry, stack, isUser: true);
        cpu.Registers[7] = (ulong)cpu.Id.Index;
        cpu.Registers[6] = (ulong)_machine.Cpus.Count;
    }

    private void DoSystemCall(Cpu cpu)
    {
        var registers = cpu.Registers;
        var number = registers[0];
        switch (number)
        {
            case SysWrite:
                registers[0] = (ulong)Write((long)registers[7], new(registers[6]), registers[2]);
                break;
            case SysExit:
                if (cpu.Id.Index == 0) _status = (int)(registers[7] & 0xff);
                cpu.Park();
                break;
            case SysExitGroup:
                _end = new((int)(registers[7] & 0xff));
                _machine.RequestStop();
                break;
            default:
                _end = new(0, $"{_image.Source}: {cpu.Id} makes system call {number} at {cpu.Rip - 2} in {_image.Symbols.NameOf(cpu.Rip - 2)}; programs here have write (1), exit (60) and exit_group (231)", IsUnsupported: true);
                _machine.RequestStop();
                break;
        }
    }

    private long Write(long file, GuestAddress buffer, ulong count)
    {
        if (file is not (1 or 2)) return Ebadf;
        var length = (int)Math.Min(count, 0x7fff_f000);
        var bytes = new byte[Math.Min(length, 1 << 16)];
        for (var done = 0; done < length; done += bytes.Length)
        {
            var part = bytes.AsSpan(0, Math.Min(bytes.Length, length - done));
            if (!_machine.Memory.TryRead(buffer + done, part)) return done > 0 ? done : Errno.Efault;
            (file == 1 ? _output : _errors).Write(part);
        }

        return length;
    }
}
